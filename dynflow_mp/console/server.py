"""Serves a console by itself: one process, one thread of events, an end within seconds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from dynflow_mp.console.settings import bracketed
from dynflow_mp.errors import ConfigError

_HEADERS_WITHIN_S = 10.0
_END_S = 3
_MOST_CONNECTIONS = 500
_MOST_HEADER_BYTES = 64 * 1024


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises :class:`ConfigError` in words of an option."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, number)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--host {host}: no such address ({error})") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen()
    except OSError as error:
        found.close()
        raise ConfigError(f"{bracketed(host)}:{port}: {error.strerror}; --port names another port") from error
    return found


class ConsoleServer(uvicorn.Server):
    """A server that says when it is ready, and ends when ``over`` does."""

    def __init__(self, app: Starlette, on_ready: Callable[[], object], over: Callable[[], bool]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HurriedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=_END_S,
                h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
            )
        )
        self._on_ready, self._over, self._on_end = on_ready, over, app.state.feed.close

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; then it is said."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; streams come to their ends before, which it would wait for."""
        await asyncio.to_thread(self._on_end)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        return await super().on_tick(counter) or self._over()


class HurriedProtocol(H11Protocol):
    """A connection on which the headers of a request have to come in time: the server itself would wait for ever."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is waited for."""
        super().connection_made(transport)
        self._expect()

    def on_response_complete(self) -> None:
        """The next is."""
        super().on_response_complete()
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is."""
        if self._due is not None:
            self._due.cancel()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = self.loop.call_later(_HEADERS_WITHIN_S, self._check, self.cycle)

    def _check(self, before: Any) -> None:
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()
