"""Errands on their way: which are out, how often their workers died, and who else than the director asked.

RunErrand ─(brief)─▶ waiting ─▶ pool ─▶ worker ─▶ ErrandFinished
                        ▲                 ╰ died ─▶ again, or ErrandLost
                        ╰─────────────────╯
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished, ErrandLost
from dynflow_mp.executor.limit_watch import Limits
from dynflow_mp.executor.pool import QueuedJob, queued
from dynflow_mp.model.work import Errand, ErrandOutcome

ErrandNews = ErrandFinished | ErrandLost
Tell = Callable[[ErrandNews], None]

DRAINED = "drained"
"""The cause of an errand's loss when its executor ends before it was done."""


class ErrandAsked(NamedTuple):
    """Another thread wants an errand done; ``tell`` is called with what came of it, on the core's thread."""

    order: RunErrand
    tell: Tell


class ErrandBriefed(NamedTuple):
    """The reader has what an errand needs."""

    order: RunErrand
    data: bytes


class ErrandUnbriefed(NamedTuple):
    """The reader could not bring what an errand needs."""

    order: RunErrand
    reason: str


class _Out:
    """One errand that is not done yet."""

    __slots__ = ("order", "tell", "tries_left")

    def __init__(self, order: RunErrand, tell: Tell | None) -> None:
        self.order = order
        self.tell = tell
        self.tries_left = order.tries


_Key = tuple[str, str, int]


class Errands:
    """Every errand that is out. Owned by the core's thread. ``timeout_s``: how long each may keep a worker."""

    def __init__(self, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._out: dict[_Key, _Out] = {}
        self._waiting: list[QueuedJob] = []

    @property
    def pending(self) -> bool:
        """Whether :meth:`take` would give something."""
        return bool(self._waiting)

    def note(self, order: RunErrand, tell: Tell | None = None) -> bool:
        """An errand was asked for; False if it is out already.

        Who else wants to be told of it then is told, if nobody was to be.
        """
        known = self._out.get(_key_of(order))
        if known is not None:
            known.tell = known.tell or tell
            return False
        self._out[_key_of(order)] = _Out(order, tell)
        return True

    def ready(self, order: RunErrand, data: bytes) -> None:
        """All that a noted errand needs is there."""
        job = Errand(order.plan_id, order.errand_id, order.kind, order.action_class, data)
        limits = Limits(self._timeout_s, None, f"errand {order.kind!r}", "errand_timeout_s")
        self._waiting.append(queued(job, order.queue, None if self._timeout_s is None else limits))

    def take(self) -> list[QueuedJob]:
        """What is ready for the pool."""
        taken, self._waiting = self._waiting, []
        return taken

    def finished(self, errand: Errand, outcome: ErrandOutcome) -> list[ErrandNews]:
        """A worker answered; returns what the director is to hear."""
        identity = (errand.plan_id, errand.errand_id, errand.kind)
        return self._told(ErrandFinished(*identity, outcome.result, outcome.error))

    def died(
        self, item: QueuedJob, errand: Errand, cause: str, message: str, ended: bool = False
    ) -> list[ErrandNews]:
        """The worker that had begun it is gone: it waits again, or it is lost; at once if the worker was ``ended`` for it."""
        out = self._out.get((errand.plan_id, errand.kind, errand.errand_id))
        if out is None:
            return []
        out.tries_left -= 1
        if out.tries_left > 0 and not ended:
            self._waiting.append(item)
            return []
        return self._told(ErrandLost(errand.plan_id, errand.errand_id, errand.kind, cause, message))

    def unreadable(self, order: RunErrand, reason: str) -> list[ErrandNews]:
        """What it needs could not be had."""
        return self._told(ErrandLost(order.plan_id, order.errand_id, order.kind, "unreadable", reason))

    def give_up(self) -> None:
        """This executor ends. Who else asked is told; the director knows by itself."""
        out, self._out = self._out, {}
        self._waiting.clear()
        for errand in out.values():
            if errand.tell is not None:
                order = errand.order
                message = "the executor ended before it could be done"
                errand.tell(ErrandLost(order.plan_id, order.errand_id, order.kind, DRAINED, message))

    def _told(self, news: ErrandNews) -> list[ErrandNews]:
        out = self._out.pop((news.plan_id, news.kind, news.errand_id), None)
        if out is None:
            return []
        if out.tell is None:
            return [news]
        out.tell(news)
        return []


def _key_of(order: RunErrand) -> _Key:
    return order.plan_id, order.kind, order.errand_id
