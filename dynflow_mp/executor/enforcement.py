"""What makes steps stop: those that take more than they may, and those that are not wanted any more.

LimitWatch: it takes too long, too much ─┐
director: StopStep ──────────────────────┴▶ Stops: ask ─▶ dump ─▶ SIGTERM ─▶ SIGKILL ─▶ Processes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.executor import wire
from dynflow_mp.executor.limit_watch import Limits, LimitWatch
from dynflow_mp.executor.stops import Measure, Order, Stops
from dynflow_mp.executor.workforce import Workforce
from dynflow_mp.telemetry import logger

log = logger("executor.enforcement")


class EndedBy(NamedTuple):
    """What a step was ended for."""

    cause: str
    message: str


class Enforcement:
    """Owned by the core's thread. True while there is anything to look after."""

    def __init__(self, processes: Workforce) -> None:
        self._processes = processes
        self._stops = Stops(processes.begun)
        self._watch = LimitWatch(processes.begun, processes.resident)

    def __bool__(self) -> bool:
        return bool(self._stops or self._watch)

    def sent(self, worker_id: str, number: int, limits: Limits, now: float) -> None:
        """A call with limits is on its way to a worker."""
        self._watch.sent(worker_id, number, limits, now)

    def stop(
        self, worker_id: str, number: int, cause: str, message: str, now: float, *, at_once: bool = False
    ) -> None:
        """A job is not wanted any more; what comes of it is news like all other. ``at_once``: its worker would not hear."""
        self._stops.begin(worker_id, number, cause, message, now, at_once)
        self.enforce(now)

    def over(self, worker_id: str, numbers: Iterable[int]) -> dict[int, EndedBy]:
        """These jobs are with their worker no more; returns those of them that were being stopped, and what for."""
        stopped: dict[int, EndedBy] = {}
        for number in numbers:
            self._watch.over(worker_id, number)
            stop = self._stops.over(worker_id, number)
            if stop is not None:
                stopped[number] = EndedBy(stop.cause, stop.message)
        return stopped

    def died(self, worker_id: str, begun: int) -> EndedBy | None:
        """A worker is gone: what for, if it is because of the job it had begun last."""
        stop = self._stops.over(worker_id, begun)
        self._stops.forget(worker_id)
        self._watch.forget(worker_id)
        return None if stop is None else EndedBy(stop.cause, stop.message)

    def enforce(self, now: float) -> None:
        """Do whatever is due."""
        for worker_id, number, cause, message, at_once in self._watch.look(now):
            self._stops.begin(worker_id, number, cause, message, now, at_once)
        for order in self._stops.due(now):
            self._take_measure(order)

    def wait(self, now: float, longest: float) -> float:
        """Seconds until something is due, at most ``longest``."""
        return self._watch.wait(now, self._stops.wait(now, longest))

    def _take_measure(self, order: Order) -> None:
        log.info(
            "a step is stopped: %s",
            order.message,
            extra={
                "action": "step_stopped",
                "measure": order.measure.name.lower(),
                "worker": order.worker_id,
                "cause": order.cause,
            },
        )
        processes = self._processes
        if order.measure is Measure.ASK:
            step = wire.StepToStop(order.number, order.cause, order.message)
            processes.stop_step(order.worker_id, step)
        elif order.measure is Measure.DUMP:
            processes.dump_stacks(order.worker_id)
        elif order.measure is Measure.TERMINATE:
            processes.terminate(order.worker_id)
        else:
            processes.kill(order.worker_id)
