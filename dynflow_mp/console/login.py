"""The login form: the token is shown once, and becomes a cookie that ends by itself."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.cookies import put_cookie
from dynflow_mp.console.places import is_within, prefix_of
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import go_to, path_for, render
from dynflow_mp.console.security.attempts import Attempts
from dynflow_mp.console.security.authentication import address_of, check_attempts
from dynflow_mp.console.security.credentials import SESSION_COOKIE, is_token, session_text
from dynflow_mp.telemetry import logger

log = logger("console")


def routes(attempts: Attempts) -> list[Route]:
    """The form, what it is sent to, and the way out."""

    def show(request: Request) -> Response:
        _check_there_is_one(request)
        return login_page(request, _next(request, request.query_params.get("next")))

    def enter(request: Request) -> Response:
        _check_there_is_one(request)
        form, address = request.state.form, address_of(request.scope)
        check_attempts(attempts, address)
        wanted = _next(request, form.get("next"))
        if not is_token(request.state.settings, str(form.get("token", "")).strip()):
            attempts.failed(address)
            log.warning("a wrong token from %s", address, extra={"action": "login_failed"})
            return login_page(request, wanted, wrong=True, status_code=401)
        response = go_to(request, wanted)
        settings = request.state.settings
        text = session_text(request.state.seal, settings, secrets.token_hex(16))
        put_cookie(request.scope, response, SESSION_COOKIE, text, int(settings.session_hours * 3600))
        return response

    def leave(request: Request) -> Response:
        response = go_to(request, path_for(request, "login"))
        put_cookie(request.scope, response, SESSION_COOKIE, None, 0)
        return response

    return [
        Route("/login", show, methods=["GET"], name="login"),
        Route("/login", enter, methods=["POST"], name="enter"),
        Route("/logout", leave, methods=["POST"], name="logout"),
    ]


def login_page(
    request: Request, wanted: str, *, wrong: bool = False, arriving: bool = False, status_code: int = 200
) -> Response:
    """The form. ``arriving``: whoever followed a link from elsewhere is asked again at once, now from here.

    Browsers keep the cookie back from a page that another site leads to; loaded from here it comes along.
    """
    return render(request, "login.html", status_code=status_code, next=wanted, wrong=wrong, arriving=arriving)


def _check_there_is_one(request: Request) -> None:
    if request.state.settings.token is None:
        raise Refused(404)


def _next(request: Request, given: object) -> str:
    """Where to go then: a page of ours, whatever was asked for."""
    prefix = prefix_of(request.scope)
    return given if isinstance(given, str) and is_within(given, prefix) else f"{prefix}/"
