"""Where every request comes in: it gets what the pages need to know, and an answer, whatever happens inside.

A mounted console shares the scope with the application around it: what is noted here is noted in a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynflow_mp.console.refusals import Refused, refusal
from dynflow_mp.console.security.csrf import new_token
from dynflow_mp.console.security.headers import with_security_headers
from dynflow_mp.console.security.seal import Seal
from dynflow_mp.console.settings import ConsoleSettings
from dynflow_mp.telemetry import logger

log = logger("console")

_LONGEST_PATH = 2_000
_LONGEST_QUERY = 16_384
_MOST_HEADER_BYTES = 32_768


class Entrance:
    """The outermost of what is ours: notes in ``request.state``, security headers, refusals, errors.

    ``world``, ``settings`` and what else is ``noted``, ``seal``, ``console`` (the application), ``user`` (None until it is
    known), ``csrf_token``, ``form`` and ``body`` are there for every page.
    """

    def __init__(self, app: ASGIApp, *, noted: Mapping[str, Any]) -> None:
        self._app, self._notes = app, noted
        self._settings: ConsoleSettings = noted["settings"]
        self._seal = Seal.of(self._settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        scope = self._noted(scope)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = with_security_headers(message, scope)
            await send(message)

        try:
            _check_sizes(scope)
            await self._app(scope, receive, answer)
        except Refused as refused:
            if started:
                raise
            await refusal(scope, refused)(scope, receive, answer)
        except Exception:
            log.exception("a request broke the console", extra={"action": "console_error"})
            if started:
                raise
            await refusal(scope, Refused(500))(scope, receive, answer)

    def _noted(self, scope: Scope) -> Scope:
        prefix = str(scope.get("root_path", "")).rstrip("/")
        own = {**scope}
        path = str(scope["path"])
        if self._settings.prefix:
            prefix += self._settings.prefix
            # Some proxies take the prefix off, others leave it on.
            if path != prefix and not path.startswith(f"{prefix}/"):
                path = f"{prefix}{path}"
            own["root_path"] = prefix
        own["path"] = f"{path}/" if path == prefix else path
        own["state"] = {
            **(scope.get("state") or {}),
            **self._notes,
            "seal": self._seal,
            "console": scope["app"],
            "console_prefix": prefix,
            "user": None,
            "csrf_token": new_token(self._seal),
        }
        return own


def _check_sizes(scope: Scope) -> None:
    """Before anything is looked up: what is longer than anything we have cannot be meant."""
    path = str(scope["path"])
    if len(path) > _LONGEST_PATH or not path.isprintable():
        raise Refused(404)
    if len(scope.get("query_string", b"")) > _LONGEST_QUERY:
        raise Refused(400, f"The query is longer than {_LONGEST_QUERY:,} characters.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_HEADER_BYTES:
        raise Refused(431)
