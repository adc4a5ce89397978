"""Reading a plan for the executor that takes it up: flows and states, payloads only by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, func, literal_column, select

from dynflow_mp.errors import DamagedData, InvalidPlan, PlanNotFound
from dynflow_mp.model.codec import decode
from dynflow_mp.model.flows import Flow, flow_from_tokens, step_ids
from dynflow_mp.model.plans import (
    NO_SETBACKS,
    Caller,
    Payload,
    PlanSkeleton,
    Setback,
    StepKind,
    StepTable,
    StepTimes,
    StoredEvent,
    history_from_data,
)
from dynflow_mp.model.policies import DEFAULT_QUEUE, ActionPolicy
from dynflow_mp.model.states import Phase
from dynflow_mp.persistence.held_by_plans import others_locks
from dynflow_mp.persistence.rows import PLAN_STATES, STEP_STATES, PlanRow
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import (
    actions,
    actions_with_outputs,
    events,
    execution_plans,
    outputs,
    steps,
)

CHUNK = 500
"""Ids per statement: every database takes so many parameters."""
_ROWS_AT_ONCE = 2_000
_DENSE = 3
"""Up to so many rows are read for each one that is wanted."""

_MOST_EPOCHS = 2**62
"""More than there will ever be claims, and room to count on."""

_OF_PLAN: BindParameter[str] = bindparam("plan_id")

_CALLING = actions.alias("calling")
_CALLER_STEP = (
    select(_CALLING.c.run_step_id)
    .where(
        _CALLING.c.execution_plan_id == execution_plans.c.caller_execution_plan_id,
        _CALLING.c.id == execution_plans.c.caller_action_id,
    )
    .scalar_subquery()
)
PLAN_AND_CALLER = select(execution_plans, _CALLER_STEP)
_PLAN = Statement(PLAN_AND_CALLER.where(execution_plans.c.id == _OF_PLAN), ("plan_id",))
_SUMMARY = Statement(
    select(
        func.count(),
        func.max(steps.c.id),
        func.sum(case((steps.c.phase == literal_column(f"'{Phase.PLAN.value}'"), steps.c.execution_time))),
    ).where(steps.c.execution_plan_id == _OF_PLAN),
    ("plan_id",),
)
_STEPS = Statement(
    select(
        steps.c.id,
        steps.c.state,
        steps.c.attempts,
        steps.c.action_id,
        steps.c.action_class,
        steps.c.queue,
        steps.c.started_at,
        steps.c.execution_time,
        steps.c.due_at,
        steps.c.retries,
        steps.c.crashes,
    ).where(
        steps.c.execution_plan_id == _OF_PLAN,
        steps.c.phase != literal_column(f"'{Phase.PLAN.value}'"),
    ),
    ("plan_id",),
)
_EVENTS = Statement(
    select(
        events.c.id,
        events.c.step_id,
        events.c.data,
        events.c.client_id,
        events.c.due_at,
        events.c.recorded_at,
        events.c.taken_at,
    )
    .where(events.c.execution_plan_id == _OF_PLAN)
    .order_by(events.c.recorded_at, events.c.id),
    ("plan_id",),
)
_PAYLOAD = select(actions.c.id, actions.c.input, actions.c.references, outputs.c.output).select_from(
    actions_with_outputs
)
_PAYLOAD_RANGE = Statement(
    _PAYLOAD.where(
        actions.c.execution_plan_id == _OF_PLAN,
        actions.c.id >= bindparam("first"),
        actions.c.id <= bindparam("last"),
    ).order_by(actions.c.id),
    ("plan_id", "first", "last"),
)
_ALL_PAYLOADS = Statement(
    _PAYLOAD.where(actions.c.execution_plan_id == _OF_PLAN),
    ("plan_id",),
)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PAYLOADS = _PAYLOAD.where(actions.c.execution_plan_id == _OF_PLAN, actions.c.id.in_(_IDS))
_OUTPUTS = select(outputs.c.action_id, outputs.c.output).where(
    outputs.c.execution_plan_id == _OF_PLAN, outputs.c.action_id.in_(_IDS)
)


def read_skeleton(connection: Connection, plan_id: str) -> PlanSkeleton:
    """The plan as an executor needs it. Raises PlanNotFound, or InvalidPlan saying what is damaged."""
    row = _PLAN.run(connection, (plan_id,)).fetchone()
    if row is None:
        raise PlanNotFound(f"no plan {plan_id} is stored", plan_id)
    plan = PlanRow(*row[:-1])
    try:
        return _skeleton(connection, plan, row[-1])
    except InvalidPlan:
        if is_another_now(connection, plan):
            return read_skeleton(connection, plan_id)
        raise
    except (DamagedData, LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise invalid(plan_id, f"{type(error).__name__}: {error}") from error


def is_another_now(connection: Connection, plan: PlanRow) -> bool:
    """Whether, since its row was read, what a worker planned has taken the place of a scheduled plan: once at most."""
    row = _PLAN.run(connection, (plan.id,)).fetchone()
    return row is not None and PlanRow(*row[:-1]).step_count != plan.step_count


def invalid(plan_id: str, reason: str) -> InvalidPlan:
    """The error that says why a stored plan cannot be used."""
    return InvalidPlan(f"plan {plan_id} is invalid: {reason}", plan_id)


def read_payloads(connection: Connection, plan_id: str, action_ids: Sequence[int]) -> list[Payload]:
    """These actions' bytes, by action id; ids that are not stored are left out."""
    if not action_ids:
        return []
    wanted = set(action_ids)
    first, last = min(wanted), max(wanted)
    if last - first >= _DENSE * len(wanted):
        return [Payload(*row) for row in _by_chunk(connection, _PAYLOADS, plan_id, action_ids)]
    # Steps that become ready together mostly belong to actions that were planned together: a range
    # of them costs a fraction of naming each one.
    rows = _PAYLOAD_RANGE.run(connection, (plan_id, first, last)).fetchall()
    if len(rows) == len(wanted):
        return [Payload(*row) for row in rows]
    return [Payload(*row) for row in rows if row[0] in wanted]


def read_all_payloads(connection: Connection, plan_id: str) -> list[Payload]:
    """The bytes of every action of a plan."""
    return [Payload(*row) for row in _ALL_PAYLOADS.run(connection, (plan_id,)).fetchall()]


def read_outputs(connection: Connection, plan_id: str, action_ids: Sequence[int]) -> dict[int, bytes]:
    """These actions' outputs, of those that have written one."""
    return {row[0]: row[1] for row in _by_chunk(connection, _OUTPUTS, plan_id, action_ids)}


def _by_chunk(
    connection: Connection, query: Any, plan_id: str, action_ids: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    ids = sorted(set(action_ids))
    for start in range(0, len(ids), CHUNK):
        given = {"plan_id": plan_id, "ids": ids[start : start + CHUNK]}
        yield from connection.execute(query, given)


def _skeleton(connection: Connection, row: PlanRow, caller_step_id: int | None) -> PlanSkeleton:
    plan_id = row.id
    stored, highest, planning_time = _SUMMARY.run(connection, (plan_id,)).fetchone()
    if stored != row.step_count:
        raise invalid(plan_id, f"{row.step_count} steps were planned, {stored} are stored")
    table, times, setbacks = _read_steps(connection, plan_id, highest or 0)
    events = tuple(StoredEvent(*event) for event in _EVENTS.run(connection, (plan_id,)).fetchall())
    skeleton = assembled(row, caller_step_id, table, times, float(planning_time or 0.0), events, setbacks)
    return with_locks_of_others(connection, skeleton)


def with_locks_of_others(connection: Connection, skeleton: PlanSkeleton) -> PlanSkeleton:
    """The skeleton, knowing of which of its singleton classes another plan is active."""
    singletons = [name for name, policy in skeleton.policies.items() if policy.singleton]
    if not singletons:
        return skeleton
    return skeleton._replace(taken=others_locks(connection, skeleton.id, singletons))


def assembled(
    row: PlanRow,
    caller_step_id: int | None,
    table: StepTable,
    times: dict[int, StepTimes],
    planning_time: float,
    events: tuple[StoredEvent, ...] = (),
    setbacks: Mapping[int, Setback] = NO_SETBACKS,
) -> PlanSkeleton:
    """A skeleton of what was read. Raises :class:`InvalidPlan` for what does not fit together."""
    plan_id = row.id
    run_flow, finalize_flow = _flow(row.run_flow), _flow(row.finalize_flow)
    _check_flows(plan_id, table, (run_flow, finalize_flow))
    if row.state not in PLAN_STATES:
        raise invalid(plan_id, f"its state is {row.state!r}")
    if not 0 <= row.lock_epoch < _MOST_EPOCHS:
        raise invalid(plan_id, f"its epoch is {row.lock_epoch}, which no claim has made")
    caller = None
    if row.caller_execution_plan_id is not None:
        caller = Caller(row.caller_execution_plan_id, row.caller_action_id or 0, caller_step_id)
    return PlanSkeleton(
        id=plan_id,
        label=row.label,
        state=PLAN_STATES[row.state],
        lock_epoch=row.lock_epoch,
        owner_id=row.owner_id,
        requested_at=row.requested_at,
        started_at=row.started_at,
        run_flow=run_flow,
        finalize_flow=finalize_flow,
        steps=table,
        step_times=times,
        planning_time=planning_time,
        policies={name: ActionPolicy.from_data(data) for name, data in decode(row.policies).items()},
        dependencies={consumer: tuple(made) for consumer, made in decode(row.dependencies)},
        history=history_from_data(decode(row.history)),
        events=events,
        unique_key=row.unique_key,
        caller=caller,
        setbacks=setbacks,
        deadline_at=row.deadline_at,
    )


def _flow(data: bytes) -> Flow:
    return flow_from_tokens(decode(data))


def _read_steps(
    connection: Connection, plan_id: str, highest: int
) -> tuple[StepTable, dict[int, StepTimes], dict[int, Setback]]:
    table = StepTable(highest)
    times: dict[int, StepTimes] = {}
    setbacks: dict[int, Setback] = {}
    kinds: dict[tuple[str, str | None], StepKind] = {}
    rows = _in_portions(_STEPS.run(connection, (plan_id,)))
    for step_id, state, attempts, action_id, action_class, queue, started_at, execution_time, *back in rows:
        kind = kinds.get((action_class, queue))
        if kind is None:
            kind = kinds[(action_class, queue)] = StepKind(action_class, queue or DEFAULT_QUEUE)
        if state not in STEP_STATES:
            raise invalid(plan_id, f"the state of step {step_id} is {state!r}")
        table.add(step_id, STEP_STATES[state], attempts, action_id, kind)
        if attempts or started_at is not None:
            times[step_id] = StepTimes(started_at, execution_time)
            due_at, retries, crashes = back
            if due_at is not None or retries or crashes:
                setbacks[step_id] = Setback(due_at, retries or 0, crashes or 0)
    return table, times, setbacks


def _in_portions(cursor: Any) -> Iterator[tuple[Any, ...]]:
    """Rows as they are needed: a plan of a million steps is never a million rows in memory."""
    while portion := cursor.fetchmany(_ROWS_AT_ONCE):
        yield from portion


def _check_flows(plan_id: str, table: StepTable, flows: tuple[Flow, ...]) -> None:
    for flow in flows:
        for step_id in step_ids(flow):
            if step_id not in table:
                raise invalid(plan_id, f"its flow names step {step_id}, which is not stored")
