"""Changes are asked for from this console's own pages, or by programs that know a secret: never from other sites.

    1. the browser says where the request comes from (Sec-Fetch-Site, else Origin), and it is from here
    2. it brings a token that only our own pages had; or it is JSON, which no other site's form can send

Programs that send ``Authorization: Bearer`` have shown what no browser sends by itself.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dynflow_mp.console.places import path_within
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.security.authentication import LOGIN_PATH
from dynflow_mp.console.security.credentials import Known
from dynflow_mp.console.security.seal import Seal
from dynflow_mp.console.settings import ConsoleSettings

FIELD, HEADER = "_csrf", "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_PURPOSE = "csrf"
_TOKEN_HOURS = 24
ANYBODY = "anybody"
"""For whom a token is before it is known who asks: the login form's."""
_ALSO_WHEN_READ_ONLY = frozenset({LOGIN_PATH, "/logout"})


class CrossSiteCheck:
    """Refuses changes that do not come from here, and all of them where the console is read-only."""

    def __init__(self, app: ASGIApp, *, settings: ConsoleSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._check(scope)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        state = scope["state"]
        known: Known | None = state["known"]
        binding = ANYBODY if known is None else known.binding
        seal: Seal = state["seal"]
        if scope["method"] in SAFE_METHODS:
            state["csrf_token"] = new_token(seal, binding)
            return
        headers = Headers(scope=scope)
        if not (known is not None and known.by_header):
            check_same_site(scope, headers)
            if not _is_json(headers):
                _check_token(seal, binding, headers.get(HEADER) or state["form"].get(FIELD))
        if self._settings.read_only and path_within(scope) not in _ALSO_WHEN_READ_ONLY:
            raise Refused(403, "This console is for reading only.")
        state["csrf_token"] = new_token(seal, binding)


def new_token(seal: Seal, binding: str = ANYBODY) -> str:
    """What a form of ours brings back."""
    return seal.sealed(_PURPOSE, binding, _TOKEN_HOURS * 3600)


def check_same_site(scope: Scope, headers: Headers) -> None:
    """Raises :class:`Refused` unless the browser says that the request comes from this console, or from its user."""
    sites = headers.getlist("sec-fetch-site")
    if sites:
        if len(sites) == 1 and sites[0] in ("same-origin", "none"):
            return
        raise Refused(403, "Changes are not taken from other sites.")
    origins = headers.getlist("origin")
    own = f"{scope['state']['console_scheme']}://{headers.get('host', '')}"
    if len(origins) != 1 or origins[0].lower() != own.lower():
        raise Refused(
            403,
            "Changes are not taken from other sites. A program sends 'Authorization: Bearer' with the token, or "
            f"says where it comes from: 'Origin: {own}'.",
        )


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _check_token(seal: Seal, binding: str, given: object) -> None:
    if not isinstance(given, str) or seal.opened(_PURPOSE, given) != binding:
        raise Refused(403, "This page was open for too long, or is not of this console. Load it again.")
