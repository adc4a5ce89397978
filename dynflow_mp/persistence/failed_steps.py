"""Steps in error, newest plans first: a bounded number, each with only the beginning of its error."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from dynflow_mp.model.states import StepState
from dynflow_mp.persistence.plan_filters import Filters, filtered, troubled, with_full_names
from dynflow_mp.persistence.tables import execution_plans, steps

MOST_PLANS = 5_000
MOST_STEPS = 5_000
_BEGINNING = 2_048
_AT_ONCE = 500

_plan, _step = execution_plans.c, steps.c

_FAILED = (
    select(
        _step.execution_plan_id,
        _step.id,
        _step.action_id,
        _step.action_class,
        _step.ended_at,
        func.substr(_step.error, 1, _BEGINNING),
    )
    .where(_step.state == StepState.ERROR.value, _step.error.is_not(None))
    # Ids follow the time: where not all can be read, the newest are.
    .order_by(_step.execution_plan_id.desc(), _step.id)
)


class FailedStep(NamedTuple):
    """``beginning`` are the first bytes of its error; ``ended_at`` microseconds UTC."""

    plan_id: str
    step_id: int
    action_id: int
    action_class: str
    ended_at: int | None
    beginning: bytes


class FailedSteps(NamedTuple):
    """``cut``: there are more than were read."""

    steps: list[FailedStep]
    cut: bool


def read_failed_steps(connection: Connection, filters: Filters | None) -> FailedSteps:
    """Of the plans that ``filters`` let through, those in error that started last."""
    found = filtered(select(_plan.id, _plan.started_at), with_full_names(connection, filters))
    newest = found.where(troubled()).order_by(_plan.started_at.desc(), _plan.id.desc()).limit(MOST_PLANS + 1)
    plan_ids = [row[0] for row in connection.execute(newest)]
    places = {plan_id: place for place, plan_id in enumerate(plan_ids)}
    rows: list[FailedStep] = []
    for start in range(0, min(len(plan_ids), MOST_PLANS), _AT_ONCE):
        some = plan_ids[start : min(start + _AT_ONCE, MOST_PLANS)]
        query = _FAILED.where(_step.execution_plan_id.in_(some)).limit(MOST_STEPS - len(rows) + 1)
        found_here = [FailedStep._make(row) for row in connection.execute(query)]
        rows += sorted(found_here, key=lambda step: (places[step.plan_id], step.step_id))
        if len(rows) > MOST_STEPS:
            return FailedSteps(rows[:MOST_STEPS], True)
    return FailedSteps(rows, len(plan_ids) > MOST_PLANS)
