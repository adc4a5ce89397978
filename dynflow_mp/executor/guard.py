"""The supervisor's side of its guardian process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from math import inf
from pathlib import Path

from dynflow_mp.clock import monotonic, steady
from dynflow_mp.executor.child import Child, pipe
from dynflow_mp.telemetry import logger

log = logger("executor.guard")

_RESTART_S = 1.0
_PROGRAM = Path(__file__).with_name("guardian.py")


class Guard:
    """Keeps a guardian process running and its list of process groups right.

    Owned by the thread that owns the workers. ``on_start``/``on_end`` are told the descriptor that
    becomes readable when the guardian is over. ``socket`` is what a killed supervisor leaves behind.
    """

    def __init__(self, socket: Path, on_start: Callable[[int], None], on_end: Callable[[int], None]) -> None:
        self._socket = socket
        self._on_start = on_start
        self._on_end = on_end
        self._groups: set[int] = set()
        self._killed: set[int] = set()
        self._until = inf
        self._child: Child | None = None
        self._descriptors = ExitStack()
        self._pipe = -1
        self._started = 0.0

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
        with ExitStack() as theirs, ExitStack() as ours:
            told, self._pipe = pipe(reader=theirs, writer=ours)
            alive, their_alive = pipe(reader=ours, writer=theirs)
            os.set_blocking(self._pipe, False)
            command = [sys.executable, "-I", "-S", str(_PROGRAM), str(told), str(self._socket)]
            self._child = Child(command, inherited=[told, their_alive], alive_pipe=alive)
            self._descriptors = ours.pop_all()
        self._started = monotonic()
        self._on_start(self._child.end_fd)
        self._say("".join(f"add {group}\n" for group in self._groups) + _until(self._until))

    def add(self, group: int) -> None:
        """Kill this process group, too, if it comes to that."""
        self._groups.add(group)
        self._say(f"add {group}\n")

    def drop(self, group: int) -> None:
        """This process group is gone; its number may soon be somebody else's."""
        self._groups.discard(group)
        self._killed.discard(group)
        self._say(f"drop {group}\n")

    def renew(self, until: float) -> None:
        """The workers may live until then. Cheap when called often; also replaces a guardian that went away."""
        if until != self._until:
            if self._run_out:
                self._killed |= self._groups
            self._until = until
            self._say(_until(until))
        if self._child is None:
            self._restart(monotonic())

    @property
    def _run_out(self) -> bool:
        return self._until != inf and steady() >= self._until

    def has_killed(self, group: int) -> bool:
        """Whether the deadline passed while this process group was on the list."""
        return self._run_out or group in self._killed

    def look_after(self) -> None:
        """The guardian's descriptor is readable: replace it, once a second at most."""
        if self._child is None or not self._child.over:
            return
        log.warning("the guardian ended, starting another", extra={"action": "guardian_replaced"})
        self._bury()
        self._restart(monotonic())

    def _restart(self, now: float) -> None:
        if now - self._started < _RESTART_S:
            return  # the next renewal tries again
        self._started = now
        try:
            self.start()
        except OSError as error:
            log.error("no guardian could be started: %s", error, extra={"action": "guardian_missing"})

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
            self._descriptors.close()

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


def _until(deadline: float) -> str:
    return f"until {deadline!r}\n"
