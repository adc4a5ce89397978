"""The one socket all workers of a world talk to, in a directory that nobody else may enter."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import zmq

from dynflow_mp.errors import ConfigError, PeerBusy
from dynflow_mp.executor import wire
from dynflow_mp.telemetry import logger

log = logger("executor.workers_socket")

SOCKET_NAME = "workers"
_LONGEST_IPC_PATH = 107
_HIGH_WATER = 4096

# Plain numbers: the library's flags are enums, and "or"-ing them costs more than a send.
_DONTWAIT = int(zmq.DONTWAIT)
_ROUTE_PART = int(zmq.DONTWAIT | zmq.SNDMORE)
_PROBE = wire.encode_ping(0)


class WorkersSocket:
    """A ROUTER over ipc. Owned by the thread that owns the workers."""

    def __init__(
        self, directory: Path, poller: zmq.Poller, context: zmq.Context[zmq.Socket[bytes]] | None
    ) -> None:
        self.path = directory / SOCKET_NAME
        self.endpoint = f"ipc://{self.path}"
        self.router: zmq.Socket[bytes] | None = None
        self._directory, self._poller = directory, poller
        self._context = context
        self._own_context = context is None
        self._arrivals = zmq.Poller()

    def open(self) -> None:
        """Listen. Raises :class:`ConfigError` for a directory that cannot be used."""
        _prepare(self._directory)
        if len(os.fsencode(self.path)) > _LONGEST_IPC_PATH:
            raise ConfigError(
                f"{self.path}: a socket's path may have {_LONGEST_IPC_PATH} bytes; choose a shorter directory"
            )
        self._context = self._context or zmq.Context()
        self.router = _router(self._context, self.endpoint)
        self._arrivals.register(self.router, zmq.POLLIN)
        self._poller.register(self.router, zmq.POLLIN)

    def look_after(self) -> None:
        """Listen anew where somebody has removed the socket, as programs do that tidy up old temporary files.

        Connections that stand are not touched, so the old place is not given up: that would cut them, and lose what is on
        its way. Raises OSError or :class:`ConfigError` where that cannot be done.
        """
        assert self.router is not None, "processes are not started"
        if self.path.exists():
            return
        log.warning("%s was removed, listening there again", self.path, extra={"action": "socket_removed"})
        _prepare(self._directory)
        self.router.bind(self.endpoint)

    def send(self, route: bytes, frame: bytes) -> None:
        """To a worker that is there; to nobody if it is gone. Raises :class:`PeerBusy` if its queue is full."""
        assert self.router is not None, "processes are not started"
        try:
            self.router.send(route, _ROUTE_PART)
            self.router.send(frame, _DONTWAIT)
        except zmq.Again:
            raise PeerBusy("the worker's queue is full") from None
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def receive(
        self, most: int, take: Callable[[bytes, bytes], object], refuse: Callable[[str], object]
    ) -> bool:
        """Hand frames and their routes to ``take``; True if there is nothing left to read."""
        assert self.router is not None, "processes are not started"
        for _ in range(most):
            if not self._arrivals.poll(0):
                return True
            # Not recv_multipart: on this path it costs twice as much as both parts together.
            route = self.router.recv(_DONTWAIT)
            body = self.router.recv(_DONTWAIT, copy=False)
            if body.more:
                self.router.recv_multipart(_DONTWAIT)
                refuse("a message of too many parts")
            else:
                take(route, body.bytes)
        return False

    def reaches(self, route: bytes) -> bool:
        """Whether somebody's connection still stands, or has left something unread.

        The library lets a peer's route go only after it has taken in the last of its bytes, and a
        socket that insists on routes (``ROUTER_MANDATORY``) tells us so when we write to it.
        """
        assert self.router is not None
        try:
            self.router.send(route, _ROUTE_PART)
            self.router.send(_PROBE, _DONTWAIT)
        except zmq.Again:
            return True
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True

    def close(self) -> None:
        """Leave nothing behind, neither socket nor directory."""
        router, self.router = self.router, None
        if router is not None:
            self._poller.unregister(router)
            self._arrivals.unregister(router)
            router.close(linger=0)
        if self._own_context and self._context is not None:
            self._context.term()
            self._context = None
        with suppress(FileNotFoundError):
            self.path.unlink()
        with suppress(OSError):  # something else lives there
            self._directory.rmdir()


def _router(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """A socket that says when a worker is gone or full instead of dropping what it is given."""
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.SNDHWM, _HIGH_WATER)
    router.setsockopt(zmq.RCVHWM, _HIGH_WATER)
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    router.setsockopt(zmq.MAXMSGSIZE, wire.MAX_FRAME)
    router.bind(endpoint)
    return router


def _prepare(directory: Path) -> None:
    """Make the directory if need be; nobody but us may enter it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = directory.lstat()
    except OSError as error:
        raise ConfigError(f"{directory} cannot hold the workers' socket: {error.strerror}") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise ConfigError(f"{directory} must be a directory of our own that nobody else may enter (0700)")
