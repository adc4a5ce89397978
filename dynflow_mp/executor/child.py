"""A child process whose end makes a descriptor readable, and the pipes that go to it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from dynflow_mp.executor import own_children


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
        try:
            exit_code: int | None = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            exit_code = None
        own_children.buried(self.pid)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return exit_code


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
