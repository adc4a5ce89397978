"""Finding plans and reading them for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    Table,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)

from dynflow_mp.errors import PlanNotFound
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.persistence.plan_filters import Filters, filtered, ordered, paged, with_full_names
from dynflow_mp.persistence.rows import (
    PHASES,
    PLAN_STATES,
    RESULTS,
    STEP_STATES,
    ActionRow,
    AttemptRow,
    ChunkRow,
    PlanRow,
    PlanStatus,
    StepCount,
    StepRow,
)
from dynflow_mp.persistence.skeleton import CHUNK, invalid, is_another_now
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import (
    actions,
    actions_with_outputs,
    delayed_plans,
    events,
    execution_plans,
    output_chunks,
    outputs,
    plan_dependencies,
    step_attempts,
    steps,
)

_STATUS = select(
    execution_plans.c.id,
    execution_plans.c.state,
    execution_plans.c.result,
    execution_plans.c.owner_id,
    execution_plans.c.requested_at,
    execution_plans.c.lock_epoch,
)
_OF_PLAN: BindParameter[str] = bindparam("plan_id")
_PLAN = Statement(select(execution_plans).where(execution_plans.c.id == _OF_PLAN), ("plan_id",))
_STEP_COUNT = Statement(
    select(func.count()).select_from(steps).where(steps.c.execution_plan_id == _OF_PLAN), ("plan_id",)
)
_ALL_STEPS = Statement(
    select(steps).where(steps.c.execution_plan_id == _OF_PLAN).order_by(steps.c.id), ("plan_id",)
)
_ALL_ACTIONS = Statement(
    select(actions, outputs.c.output)
    .select_from(actions_with_outputs)
    .where(actions.c.execution_plan_id == _OF_PLAN)
    .order_by(actions.c.id),
    ("plan_id",),
)

_REQUESTABLE: list[Any] = [
    literal_column(f"'{state.value}'") for state in (PlanState.PLANNED, PlanState.PAUSED)
]
_REQUESTED = _STATUS.where(
    execution_plans.c.requested_at.is_not(None),
    execution_plans.c.owner_id.is_(None),
    execution_plans.c.state.in_(_REQUESTABLE),
).order_by(execution_plans.c.requested_at, execution_plans.c.id)
_TAKEN_EVENT = Statement(
    select(events.c.id).where(events.c.id == bindparam("event"), events.c.taken_at.is_not(None)), ("event",)
)


# -- plans -------------------------------------------------------------------------------------------


def find_plans(
    connection: Connection,
    filters: Filters | None,
    order_by: str | None,
    desc: bool,
    page: int | None,
    per_page: int | None,
) -> list[PlanRow]:
    """The plans that ``filters`` let through, in order, one page of them or all."""
    nulls_are_last = connection.dialect.name == "postgresql"
    query = ordered(
        filtered(select(execution_plans), with_full_names(connection, filters)),
        order_by,
        desc,
        nulls_are_last,
    )
    return [_plan_row(row) for row in connection.execute(paged(query, page, per_page))]


def count_plans(connection: Connection, filters: Filters | None) -> int:
    """How many plans ``filters`` let through."""
    query = filtered(select(func.count()).select_from(execution_plans), with_full_names(connection, filters))
    return int(connection.execute(query).scalar_one())


def find_plan_ids(connection: Connection, filters: Filters | None, limit: int) -> list[str]:
    """Ids of at most ``limit`` plans that ``filters`` let through, oldest id first."""
    query = (
        filtered(select(execution_plans.c.id), with_full_names(connection, filters))
        .order_by(execution_plans.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def find_old_plan_ids(connection: Connection, ended_before: int, limit: int) -> list[str]:
    """Ids of stopped plans that ended before this time and that no plan which goes on depends on, oldest first."""
    caller = execution_plans.alias("caller")
    called = exists().where(
        caller.c.id == execution_plans.c.caller_execution_plan_id, caller.c.state != PlanState.STOPPED.value
    )
    awaited = exists().where(
        plan_dependencies.c.blocked_by_id == execution_plans.c.id,
        plan_dependencies.c.execution_plan_id == delayed_plans.c.execution_plan_id,
    )
    query = (
        select(execution_plans.c.id)
        .where(execution_plans.c.state == PlanState.STOPPED.value, execution_plans.c.ended_at < ended_before)
        .where(~called, ~awaited)
        .order_by(execution_plans.c.ended_at, execution_plans.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def find_plan_statuses(connection: Connection, filters: Filters | None) -> dict[str, PlanStatus]:
    """Where the plans stand that ``filters`` let through, by id."""
    rows = connection.execute(filtered(_STATUS, with_full_names(connection, filters)))
    return {row[0]: _status(row) for row in rows}


def read_statuses(connection: Connection, plan_ids: Sequence[str]) -> dict[str, PlanStatus]:
    """Where these plans stand, by id; those that are not stored are left out."""
    found: dict[str, PlanStatus] = {}
    ids = list(plan_ids)
    for start in range(0, len(ids), CHUNK):
        query = _STATUS.where(execution_plans.c.id.in_(ids[start : start + CHUNK]))
        found.update({row[0]: _status(row) for row in connection.execute(query)})
    return found


def event_was_taken(connection: Connection, event_id: str) -> bool:
    """Whether a step has taken this event."""
    return _TAKEN_EVENT.run(connection, (event_id,)).fetchone() is not None


def read_requested(connection: Connection, limit: int) -> list[PlanStatus]:
    """Requested plans that nobody owns, longest waiting first."""
    return [_status(row) for row in connection.execute(_REQUESTED.limit(limit))]


def read_plan(connection: Connection, plan_id: str) -> PlanRow:
    """One plan. Raises PlanNotFound, or InvalidPlan when its steps are not all there."""
    row = _PLAN.run(connection, (plan_id,)).fetchone()
    if row is None:
        raise PlanNotFound(f"no plan {plan_id} is stored", plan_id)
    plan = _plan_row(row)
    if plan.state not in PLAN_STATES or plan.result not in RESULTS:
        raise invalid(plan_id, f"its state is {plan.state!r}, its result {plan.result!r}")
    (stored,) = _STEP_COUNT.run(connection, (plan_id,)).fetchone()
    if stored != plan.step_count:
        if is_another_now(connection, plan):
            return read_plan(connection, plan_id)
        raise invalid(plan_id, f"{plan.step_count} steps were planned, {stored} are stored")
    return plan


# -- what is in a plan -------------------------------------------------------------------------------


def read_steps(connection: Connection, plan_id: str, step_ids: Sequence[int] | None) -> list[StepRow]:
    """All steps of a plan, or these, by id."""
    if step_ids is None:
        return [_step_row(row) for row in _ALL_STEPS.run(connection, (plan_id,)).fetchall()]
    return [_step_row(row) for row in _of_plan(connection, select(steps), steps, plan_id, step_ids)]


def read_actions(connection: Connection, plan_id: str, action_ids: Sequence[int] | None) -> list[ActionRow]:
    """All actions of a plan, or these, by id."""
    if action_ids is None:
        return [ActionRow(*row) for row in _ALL_ACTIONS.run(connection, (plan_id,)).fetchall()]
    query = select(actions, outputs.c.output).select_from(actions_with_outputs)
    return [ActionRow(*row) for row in _of_plan(connection, query, actions, plan_id, action_ids)]


def read_chunks(connection: Connection, plan_id: str, action_id: int, kind: str | None) -> list[ChunkRow]:
    """What an action wrote beside its output, in order; only what is of ``kind`` if given."""
    columns = output_chunks.c
    query = (
        select(columns.kind, columns.chunk, columns.written_at)
        .where(columns.execution_plan_id == plan_id, columns.action_id == action_id)
        .order_by(columns.id)
    )
    if kind is not None:
        query = query.where(columns.kind == kind)
    return [ChunkRow(*row) for row in connection.execute(query)]


def read_attempts(connection: Connection, plan_id: str, step_id: int | None) -> list[AttemptRow]:
    """The attempts of a plan's steps, or of one, that did not succeed, in order."""
    columns = step_attempts.c
    query = (
        select(
            columns.step_id,
            columns.attempt,
            columns.state,
            columns.error,
            columns.ended_at,
            columns.execution_time,
        )
        .where(columns.execution_plan_id == plan_id)
        .order_by(columns.step_id, columns.attempt)
    )
    if step_id is not None:
        query = query.where(columns.step_id == step_id)
    return [AttemptRow(*row[:2], _step_state(row[2]), *row[3:]) for row in connection.execute(query)]


def count_steps(connection: Connection, plan_id: str) -> list[StepCount]:
    """How many steps of a plan are in which phase and state."""
    query = (
        select(steps.c.phase, steps.c.state, func.count())
        .where(steps.c.execution_plan_id == plan_id)
        .group_by(steps.c.phase, steps.c.state)
    )
    rows = connection.execute(query)
    return [StepCount(_phase(phase), _step_state(state), count) for phase, state, count in rows]


def _of_plan(
    connection: Connection, query: Select[Any], table: Table, plan_id: str, ids: Sequence[int]
) -> Iterable[tuple[Any, ...]]:
    query = query.where(table.c.execution_plan_id == plan_id).order_by(table.c.id)
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), CHUNK):
        yield from connection.execute(query.where(table.c.id.in_(wanted[start : start + CHUNK])))


# -- rows --------------------------------------------------------------------------------------------
# A word that is none of ours stays as it is: one damaged row must not hide the others of a list.


def _plan_state(text: str) -> PlanState:
    return PLAN_STATES.get(text, cast(PlanState, text))


def _result(text: str) -> Result:
    return RESULTS.get(text, cast(Result, text))


def _step_state(text: str) -> StepState:
    return STEP_STATES.get(text, cast(StepState, text))


def _phase(text: str) -> Phase:
    return PHASES.get(text, cast(Phase, text))


def _status(row: Sequence[Any]) -> PlanStatus:
    return PlanStatus(row[0], _plan_state(row[1]), _result(row[2]), *row[3:])


def _plan_row(row: Sequence[Any]) -> PlanRow:
    return PlanRow(row[0], row[1], _plan_state(row[2]), _result(row[3]), *row[4:])


def _step_row(row: Sequence[Any]) -> StepRow:
    return StepRow(row[0], row[1], _phase(row[2]), _step_state(row[3]), *row[4:])
