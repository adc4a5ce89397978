"""Where futures are resolved: users' callbacks run here, and may block or raise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue

from dynflow_mp.telemetry import logger

log = logger("dispatchers.notifier")

_STUCK_S = 1.0
"""A callback that takes longer gets the thread for itself; the next ones go on in another."""


class Notifier:
    """Does what it is given in order, on the thread ``dynflow notifier``, replaced when a task blocks it."""

    def __init__(self, stuck_s: float = _STUCK_S) -> None:
        self._stuck_s = stuck_s
        self._tasks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def put(self, task: Callable[[], object]) -> None:
        """Have ``task`` done soon, or when a thread can be had for it: see :meth:`look_after`."""
        self._tasks.put(task)
        if self._thread is None:
            self._replace(None)

    def look_after(self) -> bool:
        """Replace the thread if a task blocks it, or there is none, while others wait. True while it has something to do."""
        thread, busy_since = self._thread, self._busy_since
        if busy_since is None:
            waiting = not self._tasks.empty()
            if waiting and thread is None:
                self._replace(None)
            return waiting
        if not self._tasks.empty() and time.monotonic() - busy_since > self._stuck_s:
            self._replace(thread)
        return True

    def finish(self, timeout_s: float) -> None:
        """Wait until all that was put is done, or the time is up; then the thread ends."""
        if self._thread is None or self._thread is threading.current_thread():
            self._drain()  # nobody else could do the rest
            self._end(threading.Event())
            return
        finished = threading.Event()
        self.put(partial(self._end, finished))
        ends = time.monotonic() + timeout_s
        while not finished.wait(min(0.05, self._stuck_s)) and time.monotonic() < ends:
            self.look_after()

    def _end(self, finished: threading.Event) -> None:
        with self._guard:
            self._thread = self._busy_since = None
        finished.set()

    def _replace(self, thread: threading.Thread | None) -> None:
        with self._guard:
            if self._thread is not thread:
                return
            busy_since, self._busy_since = self._busy_since, None
            self._thread = threading.Thread(target=self._run, name="dynflow notifier", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread, self._busy_since = thread, busy_since
                log.warning(
                    "futures wait for a thread that resolves them: %s",
                    error,
                    extra={"action": "no_thread"},
                )
                return
            if thread is not None:
                log.warning(
                    "a callback blocks; other futures are resolved without waiting for it",
                    extra={"action": "callback_blocks"},
                )

    def _run(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            task = self._tasks.get()
            self._busy_since = time.monotonic()
            _do(task)
            if self._thread is me:
                self._busy_since = None

    def _drain(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                return
            _do(task)


def _do(task: Callable[[], object]) -> None:
    try:
        task()
    except BaseException:  # also a callback's sys.exit() must not take the thread along
        log.exception("a future could not be resolved", extra={"action": "resolve_failed"})
