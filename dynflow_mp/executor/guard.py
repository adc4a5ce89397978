"""The supervisor's side of its guardian process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from dynflow_mp.executor.child import Child
from dynflow_mp.telemetry import logger

log = logger("executor.guard")

DEADLINE_S = 30.0
_RENEWAL_S = 1.0
_RESTART_S = 1.0
_PROGRAM = Path(__file__).with_name("guardian.py")


class Guard:
    """Keeps a guardian process running and its list of process groups right.

    Owned by the thread that owns the workers. ``on_start``/``on_end`` are told the descriptor that
    becomes readable when the guardian is over.
    """

    def __init__(self, on_start: Callable[[int], None], on_end: Callable[[int], None]) -> None:
        self._on_start = on_start
        self._on_end = on_end
        self._groups: set[int] = set()
        self._child: Child | None = None
        self._pipe = self._alive = -1
        self._renewed = self._started = 0.0

    @property
    def pid(self) -> int | None:
        """The guardian's process, while there is one."""
        return None if self._child is None else self._child.pid

    @property
    def end_fd(self) -> int:
        """Readable once the guardian is over; -1 while there is none."""
        return -1 if self._child is None else self._child.end_fd

    def start(self) -> None:
        """Start the guardian and tell it all it needs to know."""
        theirs, self._pipe = os.pipe()
        self._alive, their_alive = os.pipe()
        try:
            command = [sys.executable, "-I", "-S", str(_PROGRAM), str(theirs)]
            self._child = Child(command, inherited=[theirs, their_alive], alive_pipe=self._alive)
        finally:
            os.close(theirs)
            os.close(their_alive)
        os.set_blocking(self._pipe, False)
        self._started = monotonic()
        self._on_start(self._child.end_fd)
        self._say("".join(f"add {group}\n" for group in self._groups) + f"renew {DEADLINE_S}\n")

    def add(self, group: int) -> None:
        """Kill this process group, too, if it comes to that."""
        self._groups.add(group)
        self._say(f"add {group}\n")

    def drop(self, group: int) -> None:
        """This process group is gone; its number may soon be somebody else's."""
        self._groups.discard(group)
        self._say(f"drop {group}\n")

    def renew(self, now: float) -> None:
        """We still turn. Cheap when called often; also replaces a guardian that went away."""
        if now - self._renewed >= _RENEWAL_S:
            self._renewed = now
            self._say(f"renew {DEADLINE_S}\n")
            if self._child is None:
                self.start()

    def look_after(self) -> None:
        """The guardian's descriptor is readable: replace it, once a second at most."""
        if self._child is None or not self._child.over:
            return
        log.warning("the guardian ended, starting another", extra={"action": "guardian_replaced"})
        self._bury()
        if monotonic() - self._started >= _RESTART_S:
            self.start()

    def dismiss(self, patience_s: float) -> None:
        """Let the guardian go, killing nobody. Twice is fine."""
        if self._child is None:
            return
        self._say("bye\n")
        self._child.wait(patience_s)
        self._bury()

    def _bury(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._on_end(child.end_fd)
            child.bury()
            os.close(self._pipe)
            os.close(self._alive)

    def _say(self, lines: str) -> None:
        if self._child is None:
            return
        try:
            os.write(self._pipe, lines.encode())
        except BrokenPipeError:
            return  # it is dead; its descriptor says so, and the next one is told everything
        except BlockingIOError:
            # Thousands of lines unread: it stands still. A new one is told everything.
            self._child.signal_group(signal.SIGKILL)
