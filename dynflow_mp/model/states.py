"""States of plans and steps, and the tables that say which may follow which.

The tables are Dynflow's (dynflow-core.md §6.1, §7.2, version 2.0.0) with these differences:

* a run step goes ``running → pending`` when it was sent to a worker that never began it (recalled,
  or the worker died first): to say ``error`` there would charge a step that did not run;
* a run step goes ``error → pending`` when it is to be tried again: by its retry policy, after a crash, or
  because its plan is resumed;
* a plan goes ``running → planned`` for the same reason, when its executor drains before any step
  of it was begun.

    plan:  pending → planning → planned → running ⇄ paused → stopped
    run:   pending → running → success | error | suspended;  suspended → running;  error → running
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from dynflow_mp.errors import IllegalMove


class _Text(str, Enum):
    """A ``str`` enum that prints as its value, so that f-strings and messages read well."""

    __str__ = str.__str__
    # Equal to its text, so it must hash like its text (Enum hashes the member's name); and, in C,
    # it is the difference of a microsecond per step where tables are looked up.
    __hash__ = str.__hash__

    def __format__(self, format_spec: str) -> str:
        return str.__format__(self, format_spec)


class Phase(_Text):
    """Which of an action's methods a step stands for."""

    PLAN = "plan"
    RUN = "run"
    FINALIZE = "finalize"
    PRESENT = "present"
    DELAY = "delay"
    """What an action is asked when its plan is scheduled; no step stands for it."""


class PlanState(_Text):
    """Where an execution plan is in its life."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class StepState(_Text):
    """Where one step is in its life."""

    SCHEDULING = "scheduling"
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    SUSPENDED = "suspended"
    SKIPPING = "skipping"
    SKIPPED = "skipped"
    ERROR = "error"
    CANCELLED = "cancelled"


class Result(_Text):
    """What has come of a plan so far, computed from its steps."""

    PENDING = "pending"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    CANCELLED = "cancelled"


_P, _S = PlanState, StepState

UNPLANNED = (_P.PENDING, _P.SCHEDULED, _P.PLANNING)
"""States of plans that have no steps to run yet."""

PLAN_MOVES: Mapping[PlanState, tuple[PlanState, ...]] = {
    _P.PENDING: (_P.SCHEDULED, _P.PLANNING, _P.STOPPED),
    _P.SCHEDULED: (_P.PLANNING, _P.STOPPED),
    _P.PLANNING: (_P.PLANNED, _P.STOPPED),
    _P.PLANNED: (_P.RUNNING, _P.STOPPED),
    _P.RUNNING: (_P.PAUSED, _P.STOPPED, _P.PLANNED),
    _P.PAUSED: (_P.RUNNING, _P.STOPPED),
    _P.STOPPED: (),
}

PLAN_STEP_MOVES: Mapping[StepState, tuple[StepState, ...]] = {
    _S.SCHEDULING: (_S.PENDING, _S.ERROR, _S.CANCELLED),
    _S.PENDING: (_S.RUNNING, _S.ERROR, _S.CANCELLED),
    _S.RUNNING: (_S.SUCCESS, _S.ERROR, _S.CANCELLED),
    _S.SUCCESS: (),
    _S.SUSPENDED: (),
    _S.SKIPPED: (),
    _S.ERROR: (),
    _S.CANCELLED: (),
}

RUN_STEP_MOVES: Mapping[StepState, tuple[StepState, ...]] = {
    _S.PENDING: (_S.RUNNING, _S.SKIPPED, _S.ERROR),
    _S.RUNNING: (_S.SUCCESS, _S.ERROR, _S.SUSPENDED, _S.PENDING),
    _S.SUCCESS: (),
    _S.SUSPENDED: (_S.RUNNING, _S.ERROR),
    _S.SKIPPING: (_S.SKIPPED, _S.ERROR),
    _S.ERROR: (_S.RUNNING, _S.SKIPPING, _S.PENDING),
    _S.SKIPPED: (),
    _S.CANCELLED: (),
}

FINALIZE_STEP_MOVES: Mapping[StepState, tuple[StepState, ...]] = {
    _S.PENDING: (_S.RUNNING, _S.SKIPPED),
    _S.RUNNING: (_S.SUCCESS, _S.ERROR, _S.PENDING),
    _S.SUCCESS: (_S.PENDING,),
    _S.ERROR: (_S.PENDING, _S.SKIPPED),
    _S.SKIPPED: (),
    _S.SUSPENDED: (),
    _S.CANCELLED: (),
}

STEP_MOVES: Mapping[Phase, Mapping[StepState, tuple[StepState, ...]]] = {
    Phase.PLAN: PLAN_STEP_MOVES,
    Phase.RUN: RUN_STEP_MOVES,
    Phase.FINALIZE: FINALIZE_STEP_MOVES,
}


def check_plan_move(plan_id: str, current: PlanState, wanted: PlanState) -> None:
    """Raise :class:`IllegalMove` unless a plan may go from ``current`` to ``wanted``."""
    if wanted not in PLAN_MOVES[current]:
        raise IllegalMove(f"plan {plan_id}", current, wanted, PLAN_MOVES[current])


def check_step_move(plan_id: str, step_id: int, phase: Phase, current: StepState, wanted: StepState) -> None:
    """Raise :class:`IllegalMove` unless this step may go from ``current`` to ``wanted``."""
    allowed = STEP_MOVES[phase].get(current, ())
    if wanted not in allowed:
        raise IllegalMove(f"{phase} step {step_id} of plan {plan_id}", current, wanted, allowed)


def result_of(states: Iterable[StepState]) -> Result:
    """What a plan whose steps are in these states has come to (dynflow-core.md §6.3)."""
    present = set(states)
    if StepState.CANCELLED in present:
        return Result.CANCELLED
    if StepState.ERROR in present:
        return Result.ERROR
    if present & {StepState.SKIPPING, StepState.SKIPPED}:
        return Result.WARNING
    if present <= {StepState.SUCCESS}:
        return Result.SUCCESS
    return Result.PENDING
