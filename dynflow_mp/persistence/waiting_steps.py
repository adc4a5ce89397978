"""What is stored about why the steps of one plan wait: events that were not taken, sub-plans that have not ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from dynflow_mp.model.sub_plans import SubPlanCount
from dynflow_mp.persistence.rows import PLAN_STATES, RESULTS
from dynflow_mp.persistence.sub_plans import BEGUN, REQUESTED
from dynflow_mp.persistence.tables import delayed_plans, events, execution_plans, plan_dependencies

_MOST_EVENTS = 100_000
_plan, _event, _delay, _dependency = execution_plans.c, events.c, delayed_plans.c, plan_dependencies.c


class WaitRows(NamedTuple):
    """Times are microseconds UTC.

    ``delay``: not before, only before, whether frozen; None for a plan that does not wait for its time. ``prerequisites``: id, state
    and result of plans to come after; ``events``: step, time, when recorded; ``sub_plans``: by action, how its sub-plans stand.
    """

    delay: tuple[int | None, int | None, bool] | None
    prerequisites: Sequence[tuple[str, str | None, str | None]]
    events: Sequence[tuple[int, int | None, int]]
    sub_plans: Mapping[int, tuple[SubPlanCount, ...]]


def read_waiting(connection: Connection, plan_id: str) -> WaitRows:
    """All of it, read together."""
    delay = connection.execute(
        select(_delay.start_at, _delay.start_before, _delay.frozen).where(_delay.execution_plan_id == plan_id)
    ).first()
    before = connection.execute(
        select(_dependency.blocked_by_id, _plan.state, _plan.result)
        .select_from(plan_dependencies.outerjoin(execution_plans, _plan.id == _dependency.blocked_by_id))
        .where(_dependency.execution_plan_id == plan_id)
        .order_by(_dependency.blocked_by_id)
    )
    waiting = connection.execute(
        select(_event.step_id, _event.due_at, _event.recorded_at)
        .where(_event.execution_plan_id == plan_id, _event.taken_at.is_(None))
        .limit(_MOST_EVENTS)
    )
    return WaitRows(
        None if delay is None else (delay[0], delay[1], bool(delay[2])),
        [tuple(row) for row in before],
        [tuple(row) for row in waiting],
        _sub_plans(connection, plan_id),
    )


def _sub_plans(connection: Connection, plan_id: str) -> dict[int, tuple[SubPlanCount, ...]]:
    query = (
        select(_plan.caller_action_id, _plan.state, _plan.result, BEGUN, REQUESTED, func.count())
        .where(_plan.caller_execution_plan_id == plan_id)
        .group_by(_plan.caller_action_id, _plan.state, _plan.result, BEGUN, REQUESTED)
    )
    found: dict[int, list[SubPlanCount]] = {}
    for action_id, state, result, begun, requested, number in connection.execute(query):
        if action_id is not None and state in PLAN_STATES and result in RESULTS:
            count = SubPlanCount(
                PLAN_STATES[state], RESULTS[result], bool(begun), bool(requested), int(number)
            )
            found.setdefault(action_id, []).append(count)
    return {action_id: tuple(counts) for action_id, counts in found.items()}
