"""One writer at a time on one SQLite file, across threads and processes, and nobody starves.

    gate ──▶ room        take the gate, take the room, leave the gate, write, leave the room

With one lock alone, a process that writes in a tight loop takes it again before a waiting one has
woken (160-750 ms were measured). With two, whoever waits holds the gate, so the busy one must queue
behind it before it comes in again.

Whoever comes through a door writes into its file who it is: see :mod:`dynflow_mp.persistence.stays`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, local
from time import monotonic, sleep

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.stays import Stay, read_from, signature

DEADLINE_S = 10.0
"""For one attempt: see ``opening.BUSY_TIMEOUT_S``. Both together must be less than a lease lasts."""

_EAGER_S = 0.2
"""How long to look again often before looking rarely."""
_EAGER_PAUSE_S = 0.0001
_PATIENT_PAUSE_S = 0.005


def door_files(database_path: str) -> tuple[str, str]:
    """Gate and room: the files whose locks a writer must hold."""
    return f"{database_path}-gate", f"{database_path}-lock"


class Turnstile:
    """Both locks of one database file. Any thread may go through; in a forked child it opens its own files."""

    def __init__(self, database_path: str, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._own = local()
        self._gate, self._room = map(_Door, door_files(database_path))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only writer. Raises :class:`PersistenceError`, naming who is inside, after the deadline.

        A signal handler that comes here in the middle of a write of its own thread would wait for itself.
        """
        own = self._own
        if getattr(own, "inside", False):
            raise PersistenceError(
                "this thread is in the middle of a write, which a signal handler has interrupted: "
                "have the handler leave a note, and write later"
            )
        own.inside = True
        try:
            came = monotonic()
            self._enter()
            own.waited_s = monotonic() - came
            try:
                yield
            finally:
                self._room.leave()
        finally:
            own.inside = False

    @property
    def waited_s(self) -> float:
        """How long this thread stood in line the last time."""
        return getattr(self._own, "waited_s", 0.0)

    def close(self) -> None:
        """Close the files; going through again opens them again."""
        self._gate.close()
        self._room.close()

    def _enter(self) -> None:
        give_up_at = monotonic() + self._deadline_s
        if not self._gate.enter(give_up_at):
            raise self._too_late(self._gate)
        try:
            inside = self._room.enter(give_up_at)
        finally:
            self._gate.leave()
        if not inside:
            raise self._too_late(self._room)

    def _too_late(self, door: _Door) -> PersistenceError:
        stay = door.last_stay()
        who = f"process {stay.pid} has held" if stay else "another process has held"
        return PersistenceError(
            f"{who} the write lock {door.path} for more than {self._deadline_s:g} s", "locked"
        )


class _Door:
    """A lock among threads and, as an flock on a file, among processes."""

    __slots__ = ("_fd", "_opened_by", "_stays", "_threads", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._stays = 0
        self._threads = Lock()
        self._fd = -1
        self._opened_by = 0

    def enter(self, give_up_at: float) -> bool:
        if not self._threads.acquire(timeout=max(0.0, give_up_at - monotonic())):
            return False
        inside = False
        try:
            inside = self._take_file(give_up_at)
        finally:
            if not inside:
                self._threads.release()
        return inside

    def leave(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def last_stay(self) -> Stay | None:
        """Who came in last, as far as the file tells."""
        return read_from(self._fd)

    def close(self) -> None:
        with self._threads:
            self._close_file()

    def _take_file(self, give_up_at: float) -> bool:
        me = os.getpid()
        if self._opened_by != me:
            self._open_file(me)
        eager_until = 0.0
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                    raise PersistenceError(f"cannot lock {self.path}: {error.strerror}") from error
            else:
                self._sign(me)
                return True
            now = monotonic()
            if now >= give_up_at:
                return False
            eager_until = eager_until or now + _EAGER_S
            # flock has no deadline of its own, so a closed door is tried again.
            sleep(_EAGER_PAUSE_S if now < eager_until else _PATIENT_PAUSE_S)

    def _sign(self, me: int) -> None:
        self._stays += 1
        try:  # noqa: SIM105 - for every write, and a context manager doubles what it costs
            os.pwrite(self._fd, signature(me, self._stays), 0)
        except OSError:
            pass  # nobody relies on it alone: a full disk must not keep anyone out

    def _open_file(self, me: int) -> None:
        # A forked child has let go of its parent's file: it needs its own.
        self._close_file()
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            kind = "readonly" if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else "other"
            raise PersistenceError(f"cannot open {self.path}: {error.strerror}", kind) from error
        _open_here.add(self._fd)
        self._opened_by = me

    def _close_file(self) -> None:
        if self._fd >= 0 and self._opened_by == os.getpid():
            _open_here.discard(self._fd)
            os.close(self._fd)
        self._fd, self._opened_by = -1, 0


_open_here: set[int] = set()
"""The descriptors of all doors of this process."""


def _let_go_of_parents() -> None:
    """An flock ends with the last descriptor it is held through: a child would hold its parent's when that is killed."""
    while _open_here:
        with suppress(OSError):
            os.close(_open_here.pop())


os.register_at_fork(after_in_child=_let_go_of_parents)
