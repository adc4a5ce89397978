"""What stands above every view of a plan: how it is, since when, for whom, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.model.states import Phase, PlanState, StepState

_ORDER = (
    *(StepState.ERROR, StepState.RUNNING, StepState.SUSPENDED, StepState.SKIPPING, StepState.PENDING),
    *(StepState.SCHEDULING, StepState.SUCCESS, StepState.SKIPPED, StepState.CANCELLED),
)
"""What one wants to know first."""


class Can(NamedTuple):
    """What can be done with a plan as it is now."""

    resume: bool = False
    skip_and_resume: bool = False
    cancel: bool = False
    halt: bool = False


class StateCount(NamedTuple):
    state: str
    number: int


class PlanHead(NamedTuple):
    """``damage`` tells why a plan that is not ``valid`` cannot be read."""

    id: str
    label: str
    state: str
    result: str
    valid: bool
    damage: str
    progress: float | None
    started_at: datetime | None
    ended_at: datetime | None
    is_running: bool
    real_time_s: float | None
    execution_time_s: float
    deadline: datetime | None
    start_at: datetime | None
    start_before: datetime | None
    prerequisites: Sequence[str]
    owner_id: str | None
    client_id: str | None
    caller_id: str | None
    counts: list[StateCount]
    badges: list[str]
    can: Can

    @property
    def goes_on(self) -> bool:
        """Whether anything more may become of it."""
        return self.state != PlanState.STOPPED


def plan_head(
    plan: Any, counts: Iterable[Any], lock: Any, status: Any, delayed: Any, now: datetime
) -> PlanHead:
    """The head of a plan, with its execution lock, its status and its delay record, each None where there is none."""
    by_state = _by_state(counts)
    numbers = {count.state: count.number for count in by_state}
    owner_id = lock.world_id if lock is not None else None if status is None else status.owner_id
    return PlanHead(
        plan.id,
        plan.label,
        str(plan.state),
        str(plan.result),
        plan.valid,
        "" if plan.valid else str(plan.exception),
        plan.progress if plan.valid else None,
        plan.started_at,
        plan.ended_at,
        plan.state == PlanState.RUNNING,
        _real_time(plan, now),
        _execution_time(plan),
        plan.deadline,
        None if delayed is None else delayed.start_at,
        None if delayed is None else delayed.start_before,
        () if delayed is None else delayed.prerequisites,
        owner_id,
        None if lock is None else lock.client_id,
        plan.caller_execution_plan_id,
        by_state,
        _badges(plan, status, delayed, owner_id),
        _possible(plan, status, numbers) if plan.valid else Can(halt=plan.state != PlanState.STOPPED),
    )


def _by_state(counts: Iterable[Any]) -> list[StateCount]:
    """Of run and finalize steps; those of planning as long as they are all there are."""
    found: dict[str, int] = {}
    planned: dict[str, int] = {}
    for count in counts:
        into = planned if count.phase == Phase.PLAN else found
        into[str(count.state)] = into.get(str(count.state), 0) + count.number
    found = found or planned
    known = [StateCount(str(state), found.pop(state)) for state in _ORDER if state in found]
    return known + [StateCount(state, number) for state, number in found.items()]


def _real_time(plan: Any, now: datetime) -> float | None:
    """From its start until its end, or until now; of one that is not run at the moment nothing can be said."""
    end = plan.ended_at or (now if plan.state == PlanState.RUNNING else None)
    if plan.started_at is None or end is None:
        return None
    seconds: float = (end - plan.started_at).total_seconds()
    return max(0.0, seconds)


def _execution_time(plan: Any) -> float:
    """The plan knows it once it has stopped."""
    if plan.state == PlanState.STOPPED or not plan.valid:
        return float(plan.execution_time)
    return float(sum(step.execution_time for step in plan.steps.values()))


def _badges(plan: Any, status: Any, delayed: Any, owner_id: str | None) -> list[str]:
    found = []
    if not plan.valid:
        found.append("damaged")
    if delayed is not None and delayed.frozen:
        found.append("frozen")
    if status is not None and status.requested_at is not None and owner_id is None:
        found.append("asked for, nobody runs it yet")
    return found


def _possible(plan: Any, status: Any, numbers: dict[str, int]) -> Can:
    paused = plan.state == PlanState.PAUSED
    unasked = plan.state == PlanState.PLANNED and (status is None or status.requested_at is None)
    return Can(
        resume=paused or unasked,
        skip_and_resume=paused and bool(numbers.get(StepState.ERROR)),
        cancel=plan.cancellable,
        halt=plan.state != PlanState.STOPPED,
    )
