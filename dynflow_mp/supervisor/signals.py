"""How the program is told to stop."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopAsked(BaseException):
    """A signal came while the program was starting."""


class Signals:
    """Notes signals; the main thread, which owns it, reads them from a pipe when it is ready to.

    Only while starting, when the main thread waits in many places for others (a database, workers that
    import modules), a signal is an exception there: :class:`StopAsked`, once. The next one ends the
    process on the spot; workers end with it.
    """

    def __init__(self) -> None:
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(write_fd, False)
        os.set_blocking(self._read_fd, False)
        self._starting = self._interrupted = False
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in _STOPPING:
            # Started with nohup, it shall live on without its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._came)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Within, the first signal raises :class:`StopAsked`."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False

    def wait(self, seconds: float) -> int:
        """How many signals came, at most after ``seconds``."""
        ready, _, _ = select.select([self._read_fd], [], [], seconds)
        return len(os.read(self._read_fd, 64)) if ready else 0

    def _came(self, number: int, frame: Any) -> None:
        if self._interrupted:
            os._exit(1)
        if self._starting:
            self._interrupted = True
            raise StopAsked
