"""Every place for a worker is to be filled: at the beginning, and again when one is gone, perhaps later.

gone ─▶ its place is filled, at once or later (Crew) ─▶ too often: degraded (Intensity)
has done enough (Recycling) ─▶ a successor starts beside it ─▶ … is ready ─▶ it leaves
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import NamedTuple

from dynflow_mp.clock import monotonic
from dynflow_mp.errors import WorkerStartFailed
from dynflow_mp.executor.crew import Chance, Crew, Post
from dynflow_mp.executor.endings import LEASE_LOST, REPLACED
from dynflow_mp.executor.intensity import Intensity
from dynflow_mp.executor.news import StartFailed, WorkerDied, WorkerReady
from dynflow_mp.executor.recycling import Enough, Recycling, WorkerLimits
from dynflow_mp.executor.timers import Timers
from dynflow_mp.executor.turnover import Turnover
from dynflow_mp.executor.workforce import Workforce
from dynflow_mp.telemetry import logger

log = logger("executor.floor")

_ALWAYS_THE_SAME = 0.5
_NOT_STARTED, _RECYCLED, _STEP_STOPPED = "start_failed", "recycled", "step_stopped"
"""Ends of workers that a system has no words for."""


class StaffSettings(NamedTuple):
    """What is known of a world's workers."""

    pools: Mapping[str, int]
    limits: WorkerLimits = WorkerLimits()
    most_deaths: int = 20
    """Within a minute, of one queue."""
    chance: Chance = lambda: _ALWAYS_THE_SAME


class Staffing:
    """Owned by the core's thread. ``complete`` is set once the first crew has said hello.

    ``steps`` tells how many jobs a worker was given. What has to be done to a worker that has done enough is
    named by :meth:`recycle` and :meth:`ready`; the floor does it.
    """

    def __init__(
        self, processes: Workforce, settings: StaffSettings, complete: Event, steps: Callable[[str], int]
    ) -> None:
        self._processes, self._complete = processes, complete
        self._crew = Crew(settings.pools, settings.chance)
        self._intensity = Intensity(settings.pools, settings.most_deaths, self._crew.alive)
        self._recycling = Recycling(settings.limits, settings.chance, steps, self._resident)
        self.turnover = Turnover(settings.pools)
        """Who lives, and how many came and went."""
        self._refills: Timers[str] = Timers()
        self._successors: dict[str, Enough] = {}
        """Whom a worker that starts is to follow."""
        self._leaving: set[str] = set()
        self.degraded: str | None = None
        """Why this executor takes no new plans; None while all is well."""

    def start(self) -> None:
        """Start the first crew."""
        self._processes.start()
        for queue in self._crew.first_posts():
            self._spawn(queue)

    # -- news --------------------------------------------------------------------------------------

    def ready(self, news: WorkerReady) -> str | None:
        """A worker has said hello; returns who is to leave for it."""
        now = monotonic()
        self._crew.ready(news.worker_id, news.queue)
        self.turnover.ready(news.worker_id)
        self._recycling.ready(news.worker_id, news.queue, now)
        if self._crew.complete:
            self._complete.set()
        old = self._successors.pop(news.worker_id, None)
        if old is None:
            return None
        log.info(
            "worker %s is recycled: %s",
            old.worker_id,
            old.reason,
            extra={"action": "worker_recycled", "worker": old.worker_id, "successor": news.worker_id},
        )
        self.turnover.has_done_enough(old.queue, old.limit)
        self._recycling.gone(old.worker_id)
        self._leaving.add(old.worker_id)
        return old.worker_id

    def ended(self, news: WorkerDied, *, by_us: bool) -> None:
        """A worker is gone; its place is filled, now or later, unless its successor has it."""
        now, worker_id = monotonic(), news.worker_id
        self._recycling.gone(worker_id)
        has_successor = self._has_successor(worker_id)
        told_to = by_us or has_successor or news.cause == LEASE_LOST
        self.turnover.ended(worker_id, news.queue, _end(news.cause, by_us, has_successor))
        # Once they die too often, what they did before does not speed up the next death.
        worked = news.finished > 0 and self.degraded is None
        post = self._crew.ended(worker_id, news.queue, now, told_to, worked)
        if not told_to and news.cause != REPLACED:
            self._intensity.died(news.queue, news.message, now)
            self._say_condition()
        if not has_successor:
            self._refill(post)

    def _has_successor(self, worker_id: str) -> bool:
        """Whether another has its place, or will; if it was on its way it fills the place like any other."""
        if worker_id in self._leaving:
            self._leaving.remove(worker_id)
            return True
        successor = next(
            (successor for successor, old in self._successors.items() if old.worker_id == worker_id), None
        )
        if successor is not None:
            del self._successors[successor]
        return successor is not None

    def failed_to_start(self, news: StartFailed, *, replace: bool) -> str | None:
        """A worker did not come up: it is tried again. Returns whose successor it was to be.

        Raises :class:`WorkerStartFailed` for one of the first crew, unless somebody killed it: that says nothing.
        """
        now = monotonic()
        too_often = self._intensity.start_failed(news.queue, news.reason, now)
        self.turnover.ended(news.worker_id, news.queue, _NOT_STARTED)
        if not self._complete.is_set() and (too_often or not news.killed):
            raise WorkerStartFailed(news.exit_code, news.reason)
        log.error(
            "a worker could not start: %s",
            news.reason,
            extra={"action": "worker_start_failed", "exit_code": news.exit_code},
        )
        self._say_condition()
        post = self._crew.failed_to_start(news.worker_id, news.queue)
        old = self._successors.pop(news.worker_id, None)
        if old is not None:
            self._recycling.wait(news.queue, now + post.delay_s)
            return old.worker_id
        if replace:
            self._refill(post)
        return None

    def leaves(self, worker_id: str) -> bool:
        """Whether it was told to go because another has its place."""
        return worker_id in self._leaving

    def _resident(self, worker_id: str) -> int:
        return self._processes.use(worker_id).resident

    # -- what is due -------------------------------------------------------------------------------

    def fill(self, now: float, *, replace: bool) -> None:
        """Fill places whose time has come, or forget them."""
        for queue in list(self._refills.due(now)):
            if replace:
                self._spawn(queue)
        if self.degraded is not None:
            self._intensity.look(now)
            self._say_condition()

    def recycle(self, now: float) -> list[str]:
        """Start successors of those who have done enough, one of a queue at a time; who is to rest until they are there."""
        if not self._recycling:
            return []
        enough = self._recycling.due(now)
        for one in enough:
            if not any(old.queue == one.queue for old in self._successors.values()):
                self._successors[self._spawn(one.queue)] = one
        followed = {old.worker_id for old in self._successors.values()}
        return [one.worker_id for one in enough if one.rests and one.worker_id in followed]

    def _refill(self, post: Post) -> None:
        if post.delay_s:
            self._refills.add(monotonic() + post.delay_s, post.queue)
        else:
            self._spawn(post.queue)

    def _spawn(self, queue: str) -> str:
        worker_id = self._processes.spawn(queue)
        now = monotonic()
        self._crew.started(worker_id, now)
        self.turnover.started(worker_id, queue, now)
        return worker_id

    def _say_condition(self) -> None:
        """Once when it changes."""
        before, self.degraded = self.degraded, self._intensity.degraded
        if before is None and self.degraded is not None:
            log.error(
                "degraded, no new plans are taken until workers live again: %s",
                self.degraded,
                extra={"action": "degraded"},
            )
        elif before is not None and self.degraded is None:
            log.warning("workers live again, plans are taken as before", extra={"action": "degraded_no_more"})

    @property
    def next_due(self) -> float | None:
        """When a place is to be filled (steady clock); None while none waits."""
        return self._refills.next_due

    def wait(self, now: float, longest: float) -> float:
        """How long until a place is to be filled (seconds), ``longest`` at most."""
        return self._refills.wait(now, longest)


def _end(cause: str, by_us: bool, has_successor: bool) -> str:
    """What a worker's end is counted under."""
    if has_successor:
        return _RECYCLED
    return _STEP_STOPPED if by_us else cause
