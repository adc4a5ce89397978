"""How an action's sub-plans stand, as it sees them: counted in the store, never remembered.

stopped  success, warning ─▶ success       error, cancelled, left unfinished ─▶ failed
paused   error            ─▶ failed        otherwise, or to be resumed ─▶ pending
planned  not requested    ─▶ held back     requested ─▶ pending
"""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.sub_plans import Briefing, SubPlanCount

_WELL = (Result.SUCCESS, Result.WARNING)


class SubPlanCounts(NamedTuple):
    """Numbers of sub-plans; ``pending`` includes those held back, ``failed`` those that could not be planned.

    ``unplanned`` are those whose planning failed: they can never be run.
    """

    total: int = 0
    success: int = 0
    failed: int = 0
    pending: int = 0
    held_back: int = 0
    unplanned: int = 0
    warned: int = 0

    @classmethod
    def of(cls, briefing: Briefing, before: int) -> SubPlanCounts:
        """``before``: so many that could not be planned belong to an earlier start and do not count."""
        success = failed = pending = held_back = unplanned = warned = 0
        for count in briefing.counts:
            number = count.number
            if _went_well(count):
                success += number
                warned += number if count.result is Result.WARNING else 0
            elif _failed(count):
                failed += number
                unplanned += number if _could_not_be_planned(count) else 0
            else:
                pending += number
                held_back += number if _held_back(count) else 0
        return cls(
            success + failed + pending - before,
            success,
            failed - before,
            pending,
            held_back,
            unplanned - before,
            warned,
        )

    @property
    def active(self) -> int:
        """Those that run or may run any moment."""
        return self.pending - self.held_back

    @property
    def started(self) -> int:
        """Those that were ever allowed to run."""
        return self.total - self.held_back - self.unplanned

    @property
    def none_could_be_planned(self) -> bool:
        """Whether there is nothing but sub-plans whose planning failed."""
        return 0 < self.total == self.unplanned


def _went_well(count: SubPlanCount) -> bool:
    return count.state is PlanState.STOPPED and count.result in _WELL


def _failed(count: SubPlanCount) -> bool:
    if count.state is PlanState.STOPPED:
        return True
    # One that is to be resumed is asked for already: it will run.
    return count.state is PlanState.PAUSED and count.result is Result.ERROR and not count.requested


def _could_not_be_planned(count: SubPlanCount) -> bool:
    return count.state is PlanState.STOPPED and count.result is Result.ERROR and not count.begun


def _held_back(count: SubPlanCount) -> bool:
    return count.state is PlanState.PLANNED and not count.requested
