"""A TCP proxy between a program and its database server, for what a network does: nothing at all, or the worst.

    program ─▶ Proxy ─▶ server        as it is · late · black hole · reset · the answer of a COMMIT lost

It knows of PostgreSQL's and MariaDB's protocols only what a COMMIT looks like.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

_COMMITS = (b"Q\x00\x00\x00\x0bCOMMIT\x00", b"\x07\x00\x00\x00\x03COMMIT")
"""As psycopg and as PyMySQL send it: a message, or packet, of its own."""
_AT_ONCE = 1 << 16
_LOOK_S = 0.05
_ANSWER_S = 20.0

Choice = Callable[[int], bool]
"""Whether the commit of this number, counted from 1, is to be hit."""


def _never(number: int) -> bool:
    return False


class Proxy:
    """Listens on a port of its own; owns a thread for each connection and direction.

    ``commits`` counts the commits that came by, ``hit`` those whose answer was lost.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listening.settimeout(_LOOK_S)
        self.port: int = self._listening.getsockname()[1]
        self.commits = self.hit = 0
        self.delay_s = 0.0
        """How late everything is that the program sends."""
        self._lose_answer: Choice = _never
        self._lose_request: Choice = _never
        self._open = threading.Event()
        self._open.set()
        self._refuse = False
        self._closed = False
        self._guard = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept, name="proxy", daemon=True)]
        self._threads[0].start()

    def url(self, url: str) -> str:
        """The URL of the same database, by way of this proxy."""
        through = make_url(url).set(host="127.0.0.1", port=self.port)
        return through.render_as_string(hide_password=False)

    # -- what happens to the network -----------------------------------------------------------------

    def lose_answers(self, of: Choice) -> None:
        """The server carries these commits out, and the program's connection is reset before it hears of it."""
        self._lose_answer = of

    def lose_requests(self, of: Choice) -> None:
        """These commits never get to the server: for the program it looks just the same."""
        self._lose_request = of

    def black_hole(self) -> None:
        """Nothing gets through any more, and nobody is told; new connections are accepted by the kernel alone."""
        self._open.clear()

    def reset(self) -> None:
        """All connections are reset, and so is every new one."""
        self._refuse = True
        for pair in self._taken_pairs():
            for one in pair:
                _reset(one)

    def heal(self) -> None:
        """As if nothing had been; what a black hole has swallowed so far arrives late."""
        self._refuse = False
        self._open.set()

    def close(self) -> None:
        """End everything; twice is fine."""
        self._closed = True
        self._open.set()
        self._listening.close()
        for pair in self._taken_pairs():
            for one in pair:
                _close(one)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(10)

    def _taken_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._guard:
            pairs, self._pairs = self._pairs, []
        return pairs

    # -- threads -------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closed:
            if not self._open.wait(_LOOK_S):
                continue
            try:
                client, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if self._refuse:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._server, 5)
            except OSError:
                _reset(client)
                continue
            self._connect(client, server)

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        for one in (client, server):
            one.settimeout(_LOOK_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            self._pairs.append((client, server))
        muted = threading.Event()
        for work in (self._to_server, self._to_client):
            thread = threading.Thread(target=work, args=(client, server, muted), name="proxy", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _to_server(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        for data in self._read(client, server):
            if self.delay_s:
                time.sleep(self.delay_s)
            if any(commit in data for commit in _COMMITS):
                with self._guard:
                    self.commits += 1
                    number = self.commits
                if self._lose_request(number):
                    self.hit += 1
                    _reset(client)
                    _close(server)
                    return
                if self._lose_answer(number):
                    # The other thread drops the answer, and then the connection.
                    muted.set()
            try:
                server.sendall(data)
            except OSError:
                _reset(client)
                return
        _close(server)

    def _to_client(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        for data in self._read(server, client):
            if muted.is_set():
                self.hit += 1
                _reset(client)
                _close(server)
                return
            try:
                client.sendall(data)
            except OSError:
                break
        _close(client)

    def _read(self, source: socket.socket, other: socket.socket) -> Iterator[bytes]:
        """What comes, while the network is there."""
        while not self._closed:
            try:
                data = source.recv(_AT_ONCE)
            except TimeoutError:
                if other.fileno() < 0:
                    return
                continue
            except OSError:
                return
            if not data:
                return
            while not self._open.wait(_LOOK_S):
                if self._closed or source.fileno() < 0:
                    return
            yield data


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """A proxy before the server of this URL."""
    parsed = make_url(url)
    default = 5432 if parsed.get_backend_name() == "postgresql" else 3306
    proxy = Proxy(parsed.host or "127.0.0.1", parsed.port or default)
    try:
        yield proxy
    finally:
        proxy.close()


def only(wanted: int) -> Choice:
    """One commit."""
    return lambda number: number == wanted


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _close(one)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.close()
