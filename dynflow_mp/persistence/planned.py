"""Storing a new plan: every row of it in one transaction, a table at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from dynflow_mp.model.codec import encode_own
from dynflow_mp.model.flows import Flow, flow_tokens
from dynflow_mp.model.plans import PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.persistence import tables
from dynflow_mp.persistence.statements import Row, Statement, inserting, run_all

_INSERT_PLAN = inserting(tables.execution_plans)
_INSERT_STEP = inserting(tables.steps, without=("due_at", "crashes", "retries", "worker_pid"))
_INSERT_ACTION = inserting(tables.actions)
_STORED_AT = Statement(
    select(tables.execution_plans.c.created_at).where(tables.execution_plans.c.id == bindparam("plan")),
    ("plan",),
)

_KEPT = ("id", "owner_id", "lock_epoch", "created_at", "caller_execution_plan_id", "caller_action_id")
"""What planning says nothing about."""
# A driver is quick only with the very type str: a str enum costs it a search for an adapter.
_PHASES: dict[Any, str] = {phase: phase.value for phase in Phase}
_STATES: dict[Any, str] = {state: state.value for state in StepState}

_BATCH = 5_000


def insert_plan(connection: Connection, plan: PlannedPlan, requested_at: int | None, now: int) -> None:
    """Insert all rows of ``plan``."""
    insert_plans(connection, [(plan, requested_at)], now)


def insert_plans(connection: Connection, plans: Sequence[tuple[PlannedPlan, int | None]], now: int) -> None:
    """Insert all rows of each plan; with it goes when it was requested, None if it was not."""
    rows = (_plan_row(plan, requested_at, now) for plan, requested_at in plans)
    _insert(connection, (_INSERT_PLAN, rows), *_contents([plan for plan, _ in plans]))


def fill_plan(connection: Connection, plan: PlannedPlan, requested_at: int | None) -> None:
    """Give a plan that was stored before it was planned all that ``plan`` has, in the place of what it had."""
    row = dict(zip(_INSERT_PLAN.names, _plan_row(plan, requested_at, 0), strict=True))
    for name in _KEPT:
        del row[name]
    for table in (tables.steps, tables.actions):
        connection.execute(delete(table).where(table.c.execution_plan_id == plan.id))
    connection.execute(
        update(tables.execution_plans).where(tables.execution_plans.c.id == plan.id).values(row)
    )
    _insert(connection, *_contents([plan]))


def _contents(plans: Sequence[PlannedPlan]) -> tuple[tuple[Statement, Iterator[Row]], ...]:
    """All rows of these plans but their own."""
    return (
        (_INSERT_STEP, (row for plan in plans for row in _step_rows(plan.id, plan.steps))),
        (_INSERT_ACTION, (row for plan in plans for row in _action_rows(plan.id, plan.actions))),
    )


def _insert(connection: Connection, *rows: tuple[Statement, Iterator[Row]]) -> None:
    # All at once unless there is much of it: a server is waited for once.
    while batches := [(table, batch) for table, left in rows if (batch := list(islice(left, _BATCH)))]:
        run_all(connection, batches)


def is_stored(connection: Connection, plan_id: str, created_at: int) -> bool:
    """Whether a plan of this id is there that was stored at this very moment: not another's."""
    row = _STORED_AT.run(connection, (plan_id,)).fetchone()
    return row is not None and row[0] == created_at


def _plan_row(plan: PlannedPlan, requested_at: int | None, now: int) -> Row:
    return (
        plan.id,
        plan.label,
        plan.state.value,
        plan.result.value,
        plan.root_plan_step_id,
        _flow(plan.run_flow),
        _flow(plan.finalize_flow),
        encode_own(plan.history),
        encode_own({name: policy.to_data() for name, policy in plan.policies.items()}),
        encode_own(plan.dependencies),
        plan.started_at,
        plan.ended_at,
        plan.execution_time,
        plan.real_time,
        requested_at,
        None,
        0,
        plan.caller_plan_id,
        plan.caller_action_id,
        len(plan.steps),
        now,
        plan.deadline_at,
        plan.unique_key,
    )


def _flow(flow: Flow) -> bytes:
    return encode_own(flow_tokens(flow))


def _step_rows(plan_id: str, steps: list[PlannedStep]) -> Iterator[Row]:
    phases, states = _PHASES, _STATES
    for (
        step_id,
        phase,
        state,
        action_id,
        action_class,
        queue,
        progress_weight,
        children,
        error,
        started_at,
        ended_at,
        execution_time,
        real_time,
    ) in steps:
        yield (
            plan_id,
            step_id,
            phases[phase],
            states[state],
            action_id,
            action_class,
            queue,
            0,
            error,
            encode_own(children) if children else None,
            started_at,
            ended_at,
            execution_time,
            real_time,
            1.0 if state is StepState.SUCCESS else 0.0,
            progress_weight,
        )


def _action_rows(plan_id: str, actions: list[PlannedAction]) -> Iterator[Row]:
    for (
        action_id,
        action_class,
        plan_step_id,
        run_step_id,
        finalize_step_id,
        caller_plan_id,
        caller_action_id,
        given,
        references,
    ) in actions:
        yield (
            plan_id,
            action_id,
            action_class,
            caller_plan_id,
            caller_action_id,
            plan_step_id,
            run_step_id,
            finalize_step_id,
            given,
            references,
        )
