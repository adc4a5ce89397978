"""A process that was stopped in the middle of a write on SQLite keeps everybody from writing: it is killed.

door's file: who came in ─▶ is it stopped? ─▶ is the lock held? ─▶ for frozen_s, at every look ─▶ SIGKILL

Its world is recovered like any other whose process is gone. (Servers take the transaction away themselves.)
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from dynflow_mp.maintenance.background import Background
from dynflow_mp.maintenance.processes_alive import look_at
from dynflow_mp.maintenance.standstill import Standstill, Stopped
from dynflow_mp.persistence.stays import is_inside, is_taken, last_stay
from dynflow_mp.telemetry import logger

log = logger("maintenance.frozen_writers")

FROZEN_S = 8.0
"""Less than ``turnstile.DEADLINE_S``: who waits at the door, also to open the database, gets in and hears no error."""
_LOOK_S = 0.5
"""Seconds between two looks: some 0.15 ms each."""
_LONGEST_GAP = 6
"""How many times that two looks may be apart."""


class FrozenWriters(Background):
    """Owns a thread that looks at the write locks ``doors`` twice a second; without any, and elsewhere than on Linux, none.

    Only executor worlds have one. It looks while others wait for the lock, its own world's threads included.
    """

    def __init__(self, doors: Sequence[str], *, frozen_s: float = FROZEN_S, look_s: float = _LOOK_S) -> None:
        super().__init__("frozen writers")
        self._frozen_s, self._look_s = frozen_s, look_s
        self._standstills = {door: Standstill(frozen_s, _LONGEST_GAP * look_s) for door in doors}
        self._refused: Stopped | None = None

    def start(self) -> None:
        """Once; nothing where there is nothing to look at."""
        if self._standstills and hasattr(os, "pidfd_open"):
            super().start()

    def _run(self) -> None:
        while True:
            try:
                self.look(monotonic())
            except Exception:
                # Whatever it was, the next look may go better; without any, everybody may wait for ever.
                log.exception("a look was given up", extra={"action": "frozen_look_failed"})
            if self._stopping.wait(self._look_s):
                return

    def look(self, now: float) -> None:
        """Look once; ``now`` is the steady clock's time. Done by the thread, and by tests without one."""
        for door, standstill in self._standstills.items():
            seen = _stopped_inside(door)
            if standstill.look(seen, now) and seen is not None:
                self._end(door, seen)

    def _end(self, door: str, seen: Stopped) -> None:
        try:
            killed = _kill(door, seen)
        except PermissionError:
            self._tell_refused(door, seen)
            return
        if killed:
            log.warning(
                "process %d has stood still for %g s while it held the write lock %s, so nobody could write: it was killed",
                seen.pid,
                self._frozen_s,
                door,
                extra={"action": "frozen_writer_killed", "pid": seen.pid},
            )

    def _tell_refused(self, door: str, seen: Stopped) -> None:
        if seen == self._refused:
            return
        self._refused = seen
        log.error(
            "process %d stands still while it holds the write lock %s, so nobody can write, and this user may "
            "not kill it: let it go on (kill -CONT %d) or kill it",
            seen.pid,
            door,
            seen.pid,
            extra={"action": "frozen_writer_refused", "pid": seen.pid},
        )


def _stopped_inside(door: str) -> Stopped | None:
    """Who stands still inside, as far as the door's file tells."""
    stay = last_stay(door)
    if stay is None or stay.pid == os.getpid():
        return None
    process = look_at(stay.pid)
    # The lock last, and only then: to ask for it is to hold it for a moment.
    if process is None or not process.stopped or not is_taken(door):
        return None
    return Stopped(stay.pid, process.began, process.ran_ticks, stay.number)


def _kill(door: str, seen: Stopped) -> bool:
    """Kill it if all that was seen is still so; whether it was. Raises PermissionError where we may not."""
    try:
        with _held(seen.pid) as process:
            # Asked again now that the pid cannot pass to another process; the kernel, since a file may lie.
            if _stopped_inside(door) != seen or not is_inside(seen.pid, door):
                return False
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _held(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
