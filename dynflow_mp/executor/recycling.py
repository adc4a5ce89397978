"""Workers that have done enough: after so many steps, above so much memory, at such an age another takes their place.

    ready ─▶ (has done enough) ─▶ its successor starts ─▶ … is ready ─▶ the old one leaves after the step it runs

Limits differ by a tenth from worker to worker, so that those that started together do not go together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

LOOK_S = 0.1
_SPREAD = 0.1
_MIB = 1024 * 1024
_FAR_ABOVE = 1.25
"""A worker so far above its limit of memory gets nothing more until its successor is there."""

Chance = Callable[[], float]


class WorkerLimits(NamedTuple):
    """What a worker may do and have before it is replaced; None: no limit."""

    steps: int | None = None
    memory: int | None = None
    age_s: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return any(limit is not None for limit in self)


class Enough(NamedTuple):
    """This worker is to be replaced, since it has reached ``limit``, the name of a setting; ``rests``: and until then it shall do nothing more."""

    worker_id: str
    queue: str
    limit: str
    done: str
    rests: bool

    @property
    def reason(self) -> str:
        """In words."""
        return f"{self.done} ({self.limit})"


@dataclass(slots=True)
class _Worker:
    queue: str
    since: float
    steps: float | None
    age_s: float | None


class Recycling:
    """Owned by the core's thread; ``now`` in seconds of a steady clock.

    ``steps`` tells how many jobs a worker was given, ``resident`` how many bytes it had after the step it last ended.
    """

    def __init__(
        self,
        limits: WorkerLimits,
        chance: Chance,
        steps: Callable[[str], int],
        resident: Callable[[str], int],
    ) -> None:
        self._limits, self._chance = limits, chance
        self._any = limits.any  # asked in every turn
        self._steps, self._resident = steps, resident
        self._workers: dict[str, _Worker] = {}
        self._look_at = 0.0
        self._not_before: dict[str, float] = {}

    def __bool__(self) -> bool:
        return self._any

    def ready(self, worker_id: str, queue: str, now: float) -> None:
        """A worker begins."""
        if self:
            self._workers[worker_id] = _Worker(
                queue, now, self._spread(self._limits.steps), self._spread(self._limits.age_s)
            )

    def _spread(self, limit: float | None) -> float | None:
        return None if limit is None else limit * (1 + _SPREAD * (2 * self._chance() - 1))

    def gone(self, worker_id: str) -> None:
        """A worker has ended, or is about to."""
        self._workers.pop(worker_id, None)

    def wait(self, queue: str, until: float) -> None:
        """Successors cannot be had at the moment."""
        self._not_before[queue] = until

    def due(self, now: float) -> list[Enough]:
        """Who has done enough; those that were named before are named again."""
        if now < self._look_at:
            return []
        self._look_at = now + LOOK_S
        return [
            enough
            for worker_id, worker in self._workers.items()
            if now >= self._not_before.get(worker.queue, 0.0)
            and (enough := self._judge(worker_id, worker, now)) is not None
        ]

    def _judge(self, worker_id: str, worker: _Worker, now: float) -> Enough | None:
        if worker.steps is not None and (done := self._steps(worker_id)) >= worker.steps:
            return Enough(
                worker_id, worker.queue, "max_steps_per_worker", f"it has done {done:,} jobs", False
            )
        limit = self._limits.memory
        if limit is not None and (resident := self._resident(worker_id)) > limit:
            has = f"it has {resident / _MIB:,.0f} MiB in memory"
            return Enough(worker_id, worker.queue, "max_worker_memory", has, resident > limit * _FAR_ABOVE)
        if worker.age_s is not None and now - worker.since >= worker.age_s:
            age = f"it is {now - worker.since:.0f} s old"
            return Enough(worker_id, worker.queue, "max_worker_age_s", age, False)
        return None
