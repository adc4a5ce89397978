"""What one worker prints: taken from its pipe, kept within bounds, and told apart by the step that ran.

    worker (print, C code, its children) ══ pipe ══▶ take() ─▶ Capture of the job that its page says runs
                                                          └─▶ log, line by line, at debug

Which step a piece belongs to follows from the moment it is taken, so it costs the worker nothing: what steps of
microseconds print may be put down to the one behind them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from threading import Lock
from typing import NamedTuple

from dynflow_mp.telemetry import logger

log = logger("executor.worker")

HEAD_BYTES, TAIL_BYTES = 16 * 1024, 48 * 1024
_READ_BYTES = 64 * 1024
_MOST_LINE = 4096
_KEPT = frozenset("\n\t")


class Owner(NamedTuple):
    """Whose output it is, as the log says it."""

    plan_id: str
    step_id: int
    attempt: int


class Printed(NamedTuple):
    """A job's output, cleaned of control characters; ``dropped`` counts the bytes between its head and its tail."""

    text: str
    dropped: int


class Capture:
    """The first and the last of what one job printed."""

    def __init__(self) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self._total = 0

    def add(self, data: bytes) -> None:
        """It printed this, too."""
        self._total += len(data)
        room = HEAD_BYTES - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    @property
    def printed(self) -> Printed:
        """All that is kept."""
        dropped = self._total - len(self._head) - len(self._tail)
        if not dropped:
            return Printed(readable(bytes(self._head + self._tail)), 0)
        left_out = f"\n… {dropped:,} bytes left out …\n"
        return Printed(readable(bytes(self._head)) + left_out + readable(bytes(self._tail)), dropped)

    @property
    def tail(self) -> str:
        """The last of it."""
        return readable(bytes(self._tail if len(self._tail) == TAIL_BYTES else self._head + self._tail))


class WorkerOutput:
    """The reading end of a worker's pipe. Any thread may call; ``running`` tells the job that was begun last.

    ``owner_of`` says whose a job is, if that is known.
    """

    def __init__(
        self,
        fd: int,
        running: Callable[[], int],
        owner_of: Callable[[int], Owner | None],
        facts: dict[str, object],
    ) -> None:
        self.fd = fd
        self._running, self._owner_of, self._facts = running, owner_of, facts
        self._lock = Lock()
        self._closed = False
        self._number, self._capture = 0, Capture()
        self._owner: Owner | None = None
        self._rest = b""
        os.set_blocking(fd, False)

    def take(self, reads: int = 1) -> bool:
        """Take what is there, never waiting for more; False at the end of it."""
        with self._lock:
            return not self._closed and all(self._take() for _ in range(reads))

    def _take(self) -> bool:
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            return False
        number = self._running()
        if number != self._number:
            self._number, self._capture, self._owner = number, Capture(), self._owner_of(number)
        self._capture.add(data)
        if log.isEnabledFor(logging.DEBUG):
            self._log_lines(data)
        return True

    def printed(self, number: int) -> Printed:
        """What this job printed; nothing if it is not the last that printed anything."""
        with self._lock:
            return self._capture.printed if number == self._number else Printed("", 0)

    @property
    def tail(self) -> str:
        """The last that was printed, whichever job it was."""
        with self._lock:
            return self._capture.tail

    def close(self) -> None:
        """Its descriptor is about to be closed: nothing is taken any more."""
        with self._lock:
            self._closed = True

    def _log_lines(self, data: bytes) -> None:
        owner = {} if self._owner is None else self._owner._asdict()
        facts = {"action": "worker_output", **self._facts, **owner}
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            log.debug("%s", readable(line), extra=facts)


def readable(data: bytes) -> str:
    """As text, without what a terminal would obey."""
    return "".join(_printable(data.decode("utf-8", "backslashreplace")))


def _printable(text: str) -> Iterator[str]:
    return (character for character in text if character.isprintable() or character in _KEPT)
