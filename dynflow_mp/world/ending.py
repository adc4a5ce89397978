"""How a world ends.

begin ─▶ hooks ─▶ drain (no new work; running steps get their time) ─▶ all that was opened, last first ─▶ terminated
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Lock, Thread

from dynflow_mp.errors import WorldFenced
from dynflow_mp.telemetry import logger

log = logger("world.ending")


class Ending:
    """What is to be closed, and whether it has begun. All of it may be called from any thread."""

    def __init__(self, exit_process: bool) -> None:
        self.begun = False
        """True from the moment termination has started, for ever."""
        self.terminated = Event()
        """Set once the world has ended."""
        self.result: Future[bool] = Future()
        """True once everything has ended."""
        self.fenced: WorldFenced | None = None
        """Why another world declared this one dead, when it did."""
        self._exit_process = exit_process
        self._lock = Lock()
        self._first = Lock()
        """Taken by who ends the world, and never given back."""
        self._hooks: list[Callable[[], object]] = []
        self._closers: list[tuple[str, Callable[[], object]]] = []

    def before(self, hook: Callable[[], object]) -> None:
        """Have ``hook`` called first of all."""
        self._hooks.append(hook)

    def on_close(self, what: str, close: Callable[[], object]) -> None:
        """``what`` was opened."""
        self._closers.append((what, close))

    def note_fenced(self, error: WorldFenced) -> bool:
        """This world was declared dead; True for who says so first."""
        with self._lock:
            first, self.fenced = self.fenced is None, self.fenced or error
        return first

    def begin(self, drain: Callable[[], object]) -> bool:
        """End, in a thread of its own; False if that has begun already."""
        # Never waits: a signal handler may ask again in the middle of this.
        if not self._first.acquire(blocking=False):
            return False
        self.begun = True
        Thread(target=self._run, args=(drain,), name="dynflow terminate", daemon=True).start()
        return True

    def _run(self, drain: Callable[[], object]) -> None:
        try:
            self._run_hooks()
            drain()
            self.close_all()
        except BaseException as error:
            log.critical("termination went wrong", extra={"action": "terminate"}, exc_info=error)
        finally:
            self.terminated.set()
            self.result.set_result(True)
        if self._exit_process:
            _exit_process()

    def _run_hooks(self) -> None:
        for hook in self._hooks:
            with going_on_after("before_termination hook"):
                hook()

    def close_all(self) -> None:
        """Close what was opened, last first; what fails does not keep the rest from closing."""
        while self._closers:
            what, close = self._closers.pop()
            with going_on_after(f"close {what}"):
                close()


@contextmanager
def going_on_after(what: str) -> Iterator[None]:
    """Log what fails, and go on: an ending is not to be kept from ending."""
    try:
        yield
    except Exception as error:
        log.error("%s failed", what, extra={"action": "termination_step_failed"}, exc_info=error)


def _exit_process() -> None:
    """End this process from a thread that is not its main one: what was printed is not lost."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)
