"""A child process whose end makes a descriptor readable, and the pipes that go to it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from time import monotonic, sleep
from typing import NamedTuple

from dynflow_mp.executor import own_children

_LOOK_AGAIN_S = 0.005
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Usage(NamedTuple):
    """What a process took in its whole life: CPU seconds, with the children it waited for, and bytes at most.

    On Linux the latter is also at least what the process that started it had at that time.
    """

    cpu_s: float
    peak: int


class Child:
    """One started process in a session of its own. Owned by the thread that started it.

    Its end is known through a pidfd; where the system has none, through the end of file of
    ``alive_pipe``, whose other end only the child holds.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        inherited: Sequence[int],
        alive_pipe: int,
        output: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with own_children.starting:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if output is None else output,
                stderr=subprocess.DEVNULL if output is None else output,
                pass_fds=inherited,
                env=environment,
                start_new_session=True,
            )
            own_children.started(self._process.pid)
        self.pid = self._process.pid
        self._pidfd = _pidfd(self.pid)
        self.usage: Usage | None = None
        """Known once it is buried."""
        self.end_fd = alive_pipe if self._pidfd is None else self._pidfd
        """Readable once the process is over."""

    @property
    def over(self) -> bool:
        """Whether the process has ended; it is not reaped by asking."""
        return self.wait(0.0)

    def wait(self, patience_s: float) -> bool:
        """Wait until the process has ended; False if it has not in time."""
        poll = select.poll()
        poll.register(self.end_fd, select.POLLIN)
        return bool(poll.poll(max(0.0, patience_s) * 1000))

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and all it started, unless it was reaped."""
        if self._process.returncode is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return  # between fork and setsid, or nothing left but what cannot be killed any more

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, unless it was reaped."""
        self._process.send_signal(number)

    def bury(self, patience_s: float = 0.5) -> int | None:
        """Kill what is left of the group, reap the process, give the descriptor back.

        The exit code; None if the kernel could not end it in time.
        """
        # While the leader is not reaped its number cannot be given to others.
        self.signal_group(signal.SIGKILL)
        exit_code = self._reap(patience_s)
        own_children.buried(self.pid)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return exit_code

    def _reap(self, patience_s: float) -> int | None:
        """Not by ``Popen.wait``: what the process took is told only now."""
        if self._process.returncode is not None:
            return self._process.returncode
        give_up_at = monotonic() + patience_s
        self.wait(patience_s)
        while True:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Somebody else in this process waits for all children, and has its status: what Popen says then.
                self._process.returncode = 0
                return 0
            if pid:
                self.usage = Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return self._process.returncode
            if monotonic() >= give_up_at:
                return None
            sleep(_LOOK_AGAIN_S)  # its last descriptor was closed a moment before its end


def pipe(*, reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by those they are for."""
    reading, writing = os.pipe()
    return kept(reading, reader), kept(writing, writer)


def kept(fd: int, keeper: ExitStack) -> int:
    """A descriptor that ``keeper`` closes."""
    keeper.callback(os.close, fd)
    return fd


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
