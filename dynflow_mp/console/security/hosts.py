"""Only requests for names this console is known under: a page elsewhere that has its name point here gets nothing."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dynflow_mp.console.places import path_within
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.settings import ConsoleSettings

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
"""Asked by whatever address a probe has; they say nothing of any plan."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


class HostCheck:
    """Refuses a request whose ``Host`` is none of the settings' names."""

    def __init__(self, app: ASGIApp, *, settings: ConsoleSettings) -> None:
        self._app, self._names = app, settings.hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._answers_to(scope):
            raise Refused(421)
        await self._app(scope, receive, send)

    def _answers_to(self, scope: Scope) -> bool:
        return path_within(scope) in HEALTH_PATHS or self._named(scope) in self._names

    def _named(self, scope: Scope) -> str | None:
        given = Headers(scope=scope).getlist("host")
        found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        return None if found is None else found[1].lower()
