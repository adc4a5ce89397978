"""How a world ends.

begin ─▶ hooks ─▶ no new work ─▶ drain (running steps get their time) ─▶ all that was opened, last first ─▶ terminated

Each of these is a phase with a share of one :class:`~dynflow_mp.world.budget.Budget`. What has not ended when its
share is over – a database that does not answer, a hook that waits for ever – is left behind and named, and the
ending goes on without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Event, Lock, Thread
from typing import NamedTuple

from dynflow_mp.errors import WorldFenced
from dynflow_mp.telemetry import logger
from dynflow_mp.world.budget import Budget

log = logger("world.ending")

CLOSE_S = 5.0
"""What one thing that was opened gets to close."""
FAILED_START_S = 5.0
"""What all that was opened gets, when the rest could not be."""


class Phase(NamedTuple):
    """A part of an ending."""

    what: str
    do: Callable[[], object]
    share: Callable[[], float]
    """How long it may take from now on (seconds)."""
    give_up: Callable[[], object] | None = None
    """What is to be done if it takes longer; must not wait."""
    matters: bool = True
    """Whether a world has not wholly ended without it."""


class Ending:
    """What is to be closed, and whether it has begun. All of it may be called from any thread."""

    def __init__(self, exit_process: bool) -> None:
        self.begun = False
        """True from the moment termination has started, for ever."""
        self.terminated = Event()
        """Set once the world has ended."""
        self.result: Future[bool] = Future()
        """Once the world has ended: True if all of it has. Nobody can cancel it: an ending is not taken back."""
        self.result.set_running_or_notify_cancel()
        self.left: list[str] = []
        """What had not ended when its time was over, or could not end, in words."""
        self.fenced: WorldFenced | None = None
        """Why another world declared this one dead, when it did."""
        self._exit_process = exit_process
        self._lock = Lock()
        self._first = Lock()
        """Taken by who ends the world, and never given back."""
        self._budget: Budget | None = None
        self._hooks: list[Callable[[], object]] = []
        self._closers: list[tuple[str, Callable[[], object]]] = []
        self._all_closed = False

    def before(self, hook: Callable[[], object]) -> None:
        """Have ``hook`` called first of all."""
        self._hooks.append(hook)

    def on_close(self, what: str, close: Callable[[], object]) -> None:
        """``what`` was opened. When all has been closed already, while others were still opening, so is it."""
        with self._lock:
            if not self._all_closed:
                self._closers.append((what, close))
                return
        do(Phase(f"close {what}", close, lambda: CLOSE_S), Future(), lambda: None)

    def note_fenced(self, error: WorldFenced) -> bool:
        """This world was declared dead; True for who says so first."""
        with self._lock:
            first, self.fenced = self.fenced is None, self.fenced or error
        return first

    def begin(self, seconds: float, stop_working: Callable[[Budget], list[Phase]]) -> bool:
        """End within ``seconds``, in a thread of its own; False if that has begun already.

        ``stop_working`` says what comes before all is closed that was opened.
        """
        # Never waits: a signal handler may ask again in the middle of this.
        if not self._first.acquire(blocking=False):
            return False
        budget = self._budget = Budget(seconds)
        self.begun = True
        self._start(partial(self._run, budget, stop_working))
        return True

    @property
    def budget(self) -> Budget | None:
        """The time of an ending that has begun."""
        return self._budget

    def hurry(self, seconds: float) -> None:
        """Asked again, less patiently: it is to be over in ``seconds``."""
        if self._budget is not None:
            self._budget.cut(seconds)

    def _start(self, run: Callable[[], None]) -> None:
        try:
            Thread(target=run, name="dynflow terminate", daemon=True).start()
        except RuntimeError:  # no thread can be had: then it is done here, and who asked waits for it
            run()

    def _run(self, budget: Budget, stop_working: Callable[[Budget], list[Phase]]) -> None:
        try:
            for hook in self._hooks:
                what = f"before_termination hook {_name(hook)}"
                self._go_through(Phase(what, partial(_call, hook), budget.of_hooks), budget)
            for phase in stop_working(budget):
                self._go_through(phase, budget)
            self.close_all(budget)
            with self._lock:
                self._all_closed = True
            self.close_all(budget)  # what was opened just now
            self._report(budget)
        except BaseException as error:
            self.left.append(f"the ending itself: {error}")
            log.critical("termination went wrong", extra={"action": "terminate"}, exc_info=error)
        finally:
            self.terminated.set()
            self.result.set_result(not self.left)
        if self._exit_process:
            _exit_process(1 if self.left else 0)

    def close_all(self, budget: Budget | None = None) -> None:
        """Close what was opened, last first; what fails or hangs does not keep the rest from closing."""
        budget = budget or Budget(FAILED_START_S)
        while self._closers:
            what, close = self._closers.pop()
            self._go_through(Phase(f"close {what}", close, partial(budget.share, CLOSE_S)), budget)

    def _go_through(self, phase: Phase, budget: Budget) -> None:
        """Do it, on a thread of its own: it may never come back."""
        ended: Future[None] = Future()
        share_s, before_s = phase.share(), budget.took_s
        if share_s <= 0:
            self._leave(phase, "there was no time left for it")
            return
        name = f"dynflow ending: {phase.what}"
        try:
            Thread(target=do, args=(phase, ended, budget.tell), name=name, daemon=True).start()
        except RuntimeError:  # no thread can be had: then it is done here, and may take what it takes
            do(phase, ended, budget.tell)
        if not budget.wait(ended.done, phase.share):
            self._leave(phase, f"it has not ended after {budget.took_s - before_s:.1f} s")
        elif phase.matters and (error := ended.exception()) is not None:
            self.left.append(f"{phase.what}: {type(error).__name__}: {error}")
        log.debug(
            "%s: %.3f s of %.1f s",
            phase.what,
            budget.took_s - before_s,
            share_s,
            extra={"action": "termination_phase", "phase": phase.what},
        )

    def _leave(self, phase: Phase, why: str) -> None:
        if phase.matters:
            self.left.append(f"{phase.what}: {why}")
        log.error(
            "termination goes on without: %s: %s",
            phase.what,
            why,
            extra={"action": "termination_overrun", "phase": phase.what},
        )
        if phase.give_up is not None:
            phase.give_up()

    def _report(self, budget: Budget) -> None:
        facts = {"action": "terminated", "took_s": budget.took_s, "budget_s": budget.seconds}
        if self.left:
            log.error(
                "terminated after %.1f s of %.1f s, and not all has ended: %s",
                budget.took_s,
                budget.seconds,
                "; ".join(self.left),
                extra=facts,
            )
        else:
            log.info("terminated after %.1f s of %.1f s", budget.took_s, budget.seconds, extra=facts)


def do(phase: Phase, ended: Future[None], tell: Callable[[], None]) -> None:
    """Do it and say that it has ended: well, or not."""
    try:
        phase.do()
    except BaseException as error:  # an ending is not to be kept from ending, not by a hook's sys.exit either
        log.error("%s failed", phase.what, extra={"action": "termination_step_failed"}, exc_info=error)
        ended.set_exception(error)
    else:
        ended.set_result(None)
    tell()


def _call(hook: Callable[[], object]) -> None:
    try:
        hook()
    except BaseException as error:
        # One that raises has ended; whoever wrote it may want to know.
        log.error(
            "before_termination hook failed", extra={"action": "termination_step_failed"}, exc_info=error
        )


def _name(hook: Callable[[], object]) -> str:
    return getattr(hook, "__qualname__", type(hook).__qualname__)


def _exit_process(status: int) -> None:
    """End this process from a thread that is not its main one: what was printed is not lost, if somebody reads it."""
    flushing = Thread(target=_flush, name="dynflow ending: flush", daemon=True)
    flushing.start()
    flushing.join(CLOSE_S)
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
