"""Where a world listens: which addresses are allowed, and that nobody else's is taken.

An ipc socket gets its protection from its directory (0700), and its owner from a lock on a file beside
it: binding a path that is in use would silently steal it.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path

from dynflow_mp.errors import ConnectorError

_LONGEST_IPC_PATH = 107
"""What the kernel's socket address holds, without the ending zero (some systems hold less)."""

_PREFIX = "dynflow-"
_SOCKET, _LOCK = "world", "world.lock"
_ABANDONED_AFTER_S = 60.0
_REMEDIES = {
    errno.EADDRINUSE: "choose another port for listen, or * for any free one",
    errno.EADDRNOTAVAIL: "listen must name an address of this machine",
    errno.ENODEV: "listen must name an address of this machine, or a host name that stands for one",
    errno.EACCES: "ports below 1024 are for privileged users; choose a higher one for listen, or * for any free one",
}
_LONGEST_PID = 20
"""A lock file holds a process id and nothing else: a larger file is somebody's."""


def check_endpoint(endpoint: str, *, encrypted: bool = False) -> None:
    """Raise :class:`ConnectorError`, saying why, for an endpoint that worlds may not listen on or connect to.

    Beyond this machine only ``encrypted`` connections go.
    """
    transport, found, address = endpoint.partition("://")
    if not found or transport not in ("ipc", "tcp") or not address:
        raise ConnectorError(f"{endpoint!r} is neither ipc://<path> nor tcp://<host>:<port>")
    if transport == "ipc":
        _check_ipc(endpoint, address)
    else:
        _check_tcp(endpoint, address, encrypted)


def _check_ipc(endpoint: str, path: str) -> None:
    if path.startswith(("@", "*")):
        raise ConnectorError(f"{endpoint}: only a path in a directory can be protected")
    length = len(os.fsencode(path))
    if length > _LONGEST_IPC_PATH:
        raise ConnectorError(
            f"{endpoint}: {length} bytes are too long for a socket's path (at most {_LONGEST_IPC_PATH}); "
            "choose a shorter one for listen"
        )


def _check_tcp(endpoint: str, address: str, encrypted: bool) -> None:
    host, found, port = address.rpartition(":")
    if not found or not (port == "*" or (port.isascii() and port.isdigit() and int(port) < 65536)):
        raise ConnectorError(f"{endpoint}: a port is missing (tcp://127.0.0.1:5555, or * for any free one)")
    if not host:
        raise ConnectorError(f"{endpoint}: a host is missing (tcp://127.0.0.1:5555)")
    if not encrypted and not is_loopback(host):
        raise ConnectorError(
            f"{endpoint}: refused without CURVE: anybody who reaches it could command this world; "
            "use a loopback address or ipc"
        )


def tcp_host(endpoint: str) -> str:
    """The host of a TCP endpoint, brackets of IPv6 taken off."""
    host, _, _ = endpoint.removeprefix("tcp://").rpartition(":")
    return host.removeprefix("[").removesuffix("]")


def is_everywhere(endpoint: str) -> bool:
    """Whether it listens on all addresses of its machine, so that it does not say where others reach it."""
    return endpoint.startswith("tcp://") and tcp_host(endpoint) in ("*", "0.0.0.0", "::")


def reached_at(endpoint: str, advertise_host: str | None) -> str:
    """The endpoint others connect to: at ``advertise_host``, where that is said, with the port that was bound."""
    if advertise_host is None or not endpoint.startswith("tcp://"):
        return endpoint
    port = endpoint.rpartition(":")[2]
    host = f"[{advertise_host}]" if ":" in advertise_host else advertise_host
    return f"tcp://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def cannot_listen(endpoint: str, error: Exception) -> str:
    """Why this endpoint could not be bound, and what to do."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    remedy = _REMEDIES.get(number or 0) if endpoint.startswith("tcp://") else None
    return f"{endpoint} cannot be listened on: {reason}" + (f"; {remedy}" if remedy else "")


class Place:
    """An endpoint that is ours alone: made or claimed by :meth:`claim`, given back by :meth:`release`."""

    def __init__(self, endpoint: str, lock: int | None, directory: Path | None) -> None:
        self.endpoint = endpoint
        self._lock, self._directory = lock, directory

    @classmethod
    def claim(cls, endpoint: str | None, *, encrypted: bool = False) -> Place:
        """The place at ``endpoint``, or an ipc socket in a new private directory.

        Raises :class:`ConnectorError` if the endpoint is not allowed or another process has it.
        """
        if endpoint is None:
            return cls._in_private_directory()
        check_endpoint(endpoint, encrypted=encrypted)
        transport, _, address = endpoint.partition("://")
        if transport == "tcp":
            return cls(endpoint.replace("//localhost:", "//127.0.0.1:"), None, None)
        path = Path(address)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_directory(endpoint, path.parent)
            lock = _lock_file(Path(f"{path}.lock"))
        except OSError as error:
            raise ConnectorError(f"{endpoint} cannot be listened on: {error}") from error
        try:
            _check_left_behind(endpoint, path)
        except ConnectorError:
            Path(f"{path}.lock").unlink(missing_ok=True)
            os.close(lock)
            raise
        return cls(endpoint, lock, None)

    @classmethod
    def _in_private_directory(cls) -> Place:
        try:
            base = _short_base()
            remove_abandoned(base)
            directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            lock = _lock_file(directory / _LOCK)
        except OSError as error:
            raise ConnectorError(
                f"no directory for a socket could be made: {error}; "
                "TMPDIR names where, or choose a path yourself (listen=ipc://…)"
            ) from error
        return cls(f"ipc://{directory / _SOCKET}", lock, directory)

    def secure(self) -> None:
        """Once bound: nobody but this user may connect."""
        if self.endpoint.startswith("ipc://"):
            os.chmod(self.endpoint.removeprefix("ipc://"), 0o600)

    def release(self) -> None:
        """Remove the socket and its lock. Twice is fine."""
        if self._lock is None:
            return
        path = Path(self.endpoint.removeprefix("ipc://"))
        path.unlink(missing_ok=True)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        else:
            Path(f"{path}.lock").unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def _check_directory(endpoint: str, directory: Path) -> None:
    """Refuse a directory in which somebody else could put a socket of theirs in the place of ours."""
    found = directory.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid in (0, os.geteuid()):
        found = directory.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise ConnectorError(
            f"{endpoint}: {directory} belongs to another user, who could put another socket there; "
            "choose a directory of your own for listen"
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise ConnectorError(
            f"{endpoint}: everybody may write to {directory} and could put another socket there; "
            f"choose another directory for listen, or: chmod o-w {directory}"
        )


def _check_left_behind(endpoint: str, path: Path) -> None:
    """Binding removes what stands at the path: that must be a socket nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConnectorError(
                f"{endpoint}: {path} is there already and is no socket; choose another path for listen"
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.setblocking(False)
            caller.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return
    except OSError as error:
        if error.errno != errno.EAGAIN:  # its queue is full: somebody is there
            raise ConnectorError(cannot_listen(endpoint, error)) from error
    raise ConnectorError(f"{endpoint}: another program listens on {path}; choose another path for listen")


def _short_base() -> Path:
    """Where a socket's path stays short: a long TMPDIR is no reason not to start."""
    base = Path(tempfile.gettempdir())
    longest = len(os.fsencode(base)) + len(f"/{_PREFIX}12345678/{_SOCKET}")
    return base if longest <= _LONGEST_IPC_PATH - 4 else Path("/tmp")


def remove_abandoned(base: Path) -> None:
    """Remove the private directories of worlds that were killed: those whose lock nobody holds."""
    for lock_path in base.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            if not _is_old_and_ours(lock_path):
                continue
            lock = _lock_file(lock_path)
        except (OSError, ConnectorError):
            continue  # somebody's, or gone by now
        shutil.rmtree(lock_path.parent, ignore_errors=True)
        os.close(lock)


def _is_old_and_ours(path: Path) -> bool:
    """A lock file just made may not be locked yet."""
    found = path.stat()
    return found.st_uid == os.geteuid() and time.time() - found.st_mtime > _ABANDONED_AFTER_S


def _lock_file(path: Path) -> int:
    """Hold the lock on this file, or raise ConnectorError naming who does."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(lock).st_size > _LONGEST_PID:
            os.close(lock)
            raise ConnectorError(
                f"{path} is there already and is no lock of ours; choose another path for listen"
            )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise ConnectorError(
                f"{str(path).removesuffix('.lock')} is in use by process {holder}; choose another path for listen"
            ) from None
        if _is_same_file(lock, path):
            os.truncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock
        os.close(lock)  # its last holder removed it while we waited to lock


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
