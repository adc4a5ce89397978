"""Steps that are being stopped, each with the next thing to be done about it.

    asked: an exception in the step ─(grace)─▶ its stack is dumped ─▶ SIGTERM ─▶ SIGKILL
      └─ given back, if it was not begun        └─ what it answers until it is killed counts

What the worker runs is told by its page: a worker is never signalled for a job that waits behind another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

GRACE_S = 1.0
"""From the exception to SIGTERM: time to put things in order."""
_DUMP_S = 0.1
"""For a stuck worker to print where it is: done in native code, so it needs no interpreter."""
TERM_S = 0.3
"""From SIGTERM to SIGKILL."""
_LOOK_AGAIN_S = 0.05


class Measure(IntEnum):
    """What to do to a worker about the step it runs."""

    ASK = 0
    DUMP = 1
    TERMINATE = 2
    KILL = 3


class Order(NamedTuple):
    """Take this measure; ``cause`` and ``message`` are the stop's."""

    measure: Measure
    worker_id: str
    number: int
    cause: str
    message: str


@dataclass(slots=True)
class Stop:
    """One job that is being stopped."""

    worker_id: str
    number: int
    cause: str
    message: str
    measure: Measure
    due: float


class Stops:
    """Owned by the core's thread. ``begun`` tells the number of the job that a worker began last."""

    def __init__(self, begun: Callable[[str], int], grace_s: float = GRACE_S, term_s: float = TERM_S) -> None:
        self._begun = begun
        self._pauses = {
            Measure.ASK: grace_s - _DUMP_S,
            Measure.DUMP: _DUMP_S,
            Measure.TERMINATE: term_s,
            Measure.KILL: term_s,
        }
        self._stops: dict[tuple[str, int], Stop] = {}

    def __bool__(self) -> bool:
        return bool(self._stops)

    def begin(
        self, worker_id: str, number: int, cause: str, message: str, now: float, at_once: bool = False
    ) -> None:
        """A job is to be stopped; ``at_once``: there is no time to ask. The first cause stands."""
        key = worker_id, number
        first = Measure.KILL if at_once else Measure.ASK
        known = self._stops.get(key)
        if known is None:
            self._stops[key] = Stop(worker_id, number, cause, message, first, now)
        elif at_once and known.measure is not Measure.KILL:
            known.measure, known.due = first, now

    def due(self, now: float) -> list[Order]:
        """What is to be done now."""
        return [self._next(stop, now) for stop in self._stops.values() if self._is_due(stop, now)]

    def _is_due(self, stop: Stop, now: float) -> bool:
        if stop.due > now:
            return False
        if stop.measure is not Measure.ASK and self._begun(stop.worker_id) != stop.number:
            # It waits behind another job, which is nobody's business: it is given back before it begins.
            stop.due = now + _LOOK_AGAIN_S
            return False
        return True

    def _next(self, stop: Stop, now: float) -> Order:
        order = Order(stop.measure, stop.worker_id, stop.number, stop.cause, stop.message)
        stop.due = now + self._pauses[stop.measure]
        if stop.measure is not Measure.KILL:
            stop.measure = Measure(stop.measure + 1)
        return order

    def over(self, worker_id: str, number: int) -> Stop | None:
        """The job was answered for, given back, or died with its worker; the stop, if there was one."""
        return self._stops.pop((worker_id, number), None)

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        for key in [key for key in self._stops if key[0] == worker_id]:
            del self._stops[key]

    def wait(self, now: float, longest: float) -> float:
        """Seconds until something is due, at most ``longest``."""
        next_due = min((stop.due for stop in self._stops.values()), default=now + longest)
        return min(longest, max(0.0, next_due - now))
