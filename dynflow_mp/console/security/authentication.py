"""Who is it? Asked of every request but those for assets, for health, and for the login form itself.

proxy's header │ the application's own way │ Authorization │ session cookie ─▶ request.state.user
none of them ─▶ 401: the login form, or what a program can make of it
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dynflow_mp.console.places import path_within
from dynflow_mp.console.refusals import Refused, wants_json
from dynflow_mp.console.security.attempts import Attempts
from dynflow_mp.console.security.credentials import (
    SESSION_COOKIE,
    Known,
    is_trusted,
    of_authorization,
    of_proxy,
    of_session,
)
from dynflow_mp.console.security.hosts import HEALTH_PATHS
from dynflow_mp.console.settings import ConsoleSettings

LOCAL_USER = "local"
"""Who uses a console that asks nobody."""
LOGIN_PATH = "/login"
_OPEN_PATHS = frozenset({*HEALTH_PATHS, LOGIN_PATH, "/favicon.ico"})
_REALM = 'realm="dynflow_mp", charset="UTF-8"'


class Authentication:
    """Lets in whom the settings know, and notes the name; counts who is wrong."""

    def __init__(self, app: ASGIApp, *, settings: ConsoleSettings, attempts: Attempts) -> None:
        self._app, self._settings, self._attempts = app, settings, attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._let_in(scope)
        await self._app(scope, receive, send)

    def _let_in(self, scope: Scope) -> None:
        state = scope["state"]
        state["console_scheme"] = self._scheme(scope)
        path = path_within(scope)
        known = self._known(scope, path in _OPEN_PATHS)
        if known is None and not (path in _OPEN_PATHS or path.startswith("/static/")):
            raise self._unknown(scope)
        state["user"] = None if known is None else known.name
        state["known"] = known

    def _known(self, scope: Scope, is_open: bool) -> Known | None:
        settings = self._settings
        if not settings.protected:
            return Known(LOCAL_USER, LOCAL_USER)
        if settings.proxy is not None and (known := of_proxy(settings.proxy, scope)):
            return known
        if settings.authenticator is not None and (name := settings.authenticator(Request(scope))):
            return Known(name, f"user {name}")
        given = Headers(scope=scope).getlist("authorization")
        if given and not is_open:
            return self._authorized(scope, given)
        return of_session(scope["state"]["seal"], Request(scope).cookies.get(SESSION_COOKIE))

    def _authorized(self, scope: Scope, given: list[str]) -> Known | None:
        address = address_of(scope)
        check_attempts(self._attempts, address)
        known = of_authorization(self._settings, given[0]) if len(given) == 1 else None
        if known is None:
            self._attempts.failed(address)
        return known

    def _unknown(self, scope: Scope) -> Refused:
        challenges = []
        if self._settings.token is not None:
            challenges.append(f"Bearer {_REALM}")
        if self._settings.passwords and (self._settings.token is None or wants_json(scope)):
            challenges.append(f"Basic {_REALM}")
        headers = {"WWW-Authenticate": ", ".join(challenges)} if challenges else {}
        return Refused(401, headers=headers)

    def _scheme(self, scope: Scope) -> str:
        """Of the request as the browser made it: the proxy may have taken it over TLS."""
        proxy, told = self._settings.proxy, Headers(scope=scope).get("x-forwarded-proto", "")
        if proxy is not None and told in ("http", "https") and is_trusted(proxy, scope):
            return told
        return str(scope["scheme"])


def address_of(scope: Scope) -> str:
    """The address a request came from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def check_attempts(attempts: Attempts, address: str) -> None:
    """Raises :class:`Refused` for an address that was wrong too often just now."""
    wait_s = attempts.wait_s(address)
    if wait_s > 0:
        raise Refused(429, headers={"Retry-After": str(int(wait_s) + 1)})
