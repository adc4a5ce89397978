"""Networks between worlds and their database that a test can cut: a cable, and network namespaces of its own."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest
from sqlalchemy import make_url

_RESET = struct.pack("ii", 1, 0)


class Cable:
    """Forwards TCP connections to a server, until it is cut: then all of them are reset, and new ones refused."""

    def __init__(self, target: tuple[str, int], host: str = "127.0.0.1") -> None:
        self._target = target
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.address = (host, 0)
        self.mend()

    def url(self, database_url: str) -> str:
        """The same database, by this cable."""
        host, port = self.address
        return make_url(database_url).set(host=host, port=port).render_as_string(hide_password=False)

    def mend(self) -> None:
        """Let connections through (again)."""
        self._listener = socket.create_server(self.address)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Twice is fine."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes its thread
        self._listener.close()
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for end in sockets:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, 10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        # Closed by whoever comes second: the other may still read from it.
        with self._lock:
            ours = source in self._sockets
            self._sockets -= {source, sink}
        if not ours:
            source.close()
            sink.close()


class Namespace:
    """A network of one machine, with a wire to this one."""

    def __init__(self) -> None:
        tag = uuid4()
        self.name = f"dynflow_{tag.hex[:8]}"
        self._wire = f"dfl{tag.hex[:8]}"
        net = f"10.{128 + tag.bytes[0] % 64}.{tag.bytes[1]}"
        self.host_address = f"{net}.1"
        """Where this machine is seen from inside."""
        inside = ("ip", "-n", self.name)
        _ip("ip", "netns", "add", self.name)
        _ip("ip", "link", "add", self._wire, "type", "veth", "peer", "name", "wire0", "netns", self.name)
        _ip("ip", "addr", "add", f"{self.host_address}/30", "dev", self._wire)
        _ip(*inside, "addr", "add", f"{net}.2/30", "dev", "wire0")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "set", "wire0", "up")
        self.join()

    @property
    def through(self) -> tuple[str, ...]:
        """What runs a command inside."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Nothing gets through any more, and nobody is told so."""
        _ip("ip", "link", "set", self._wire, "down")

    def join(self) -> None:
        """Let everything through (again)."""
        _ip("ip", "link", "set", self._wire, "up")

    def remove(self) -> None:
        _ip("ip", "netns", "del", self.name)


@contextmanager
def namespaces(number: int):
    """Skips the test, and says why, where none can be made: that takes Linux, iproute2 and root."""
    made: list[Namespace] = []
    try:
        try:
            while len(made) < number:
                made.append(Namespace())
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            pytest.skip(f"no network namespaces here: {said.strip()}")
        yield made
    finally:
        for namespace in made:
            namespace.remove()


def _ip(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
