"""Stopping the step that a worker's main thread runs, from its control lane: an exception, by way of a signal.

    control lane: Tally.stop (under the begun-lock) ─▶ signal ─▶ main thread: Tally.stop_due ─▶ raise Stopped

A signal, and not ``PyThreadState_SetAsyncExc``, because it also wakes the main thread from a system call
(``sleep``, ``recv``); and its handler looks once more, in the main thread itself, whether the job to be stopped is
the one that runs: so it never hits the next one.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from dynflow_mp.executor.tally import Tally

NUMBER: int = signal.SIGRTMAX - 3 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""One that users' modules hardly use; the system's own reserve those at the other end."""


def prepare(tally: Tally) -> None:
    """Have the main thread, which this must be, raise what it is stopped for."""

    def stop(number: int, frame: FrameType | None) -> None:
        stopped = tally.stop_due()
        if stopped is not None:
            raise stopped

    signal.signal(NUMBER, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (NUMBER,))


def interrupt() -> None:
    """Any thread: have the main thread look whether it is to stop."""
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, NUMBER)
