"""The statements of a turn. Their parameters stand in the order in which rows of them are made.

Every write of a step is guarded by its state and attempt, every write of a plan by its epoch: rows that a
statement does not touch are rows that have changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)

from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.persistence.statements import Statement, changing, inserting, replacing
from dynflow_mp.persistence.tables import (
    actions,
    events,
    execution_plans,
    output_chunks,
    outputs,
    posted_events,
    step_attempts,
    steps,
)

_plan, _step, _action, _event = execution_plans.c, steps.c, actions.c, events.c
_chunk = output_chunks.c
Given = Callable[[str], ColumnElement[Any]]

_FLAG: Column[int] = Column("flag", Integer)
"""What yes and no are passed as."""
RESETTABLE = (StepState.SUCCESS.value, StepState.ERROR.value)

# What tells a row of steps, and what it must hold for a write to fit. In this order rows are made.
_THIS_STEP: dict[str, Column[Any]] = {"plan": _step.execution_plan_id, "step": _step.id}
_THIS_ATTEMPT: dict[str, Column[Any]] = {"from_state": _step.state, "from_attempts": _step.attempts}


def _constant(text: str) -> Any:
    """A word of ours inside a statement: no parameter to pass with every row."""
    return literal_column(f"'{text}'")


def _given_no(flag: ColumnElement[Any]) -> ColumnElement[bool]:
    return flag == literal_column("0")


def _this_step(given: Given, *guards: Any) -> tuple[Any, ...]:
    return (_step.execution_plan_id == given("plan"), _step.id == given("step"), *guards)


def _this_attempt(given: Given) -> tuple[Any, ...]:
    return (_step.state == given("from_state"), _step.attempts == given("from_attempts"))


def _this_action(given: Given) -> tuple[Any, ...]:
    return (_action.execution_plan_id == given("plan"), _action.id == given("action"))


CLAIM = changing(
    {
        "new_history": _plan.history,
        "new_started_at": _plan.started_at,
        "new_owner": _plan.owner_id,
        "new_epoch": _plan.lock_epoch,
        "plan": _plan.id,
        "epoch_read": _plan.lock_epoch,
    },
    lambda given: (
        update(execution_plans)
        .where(
            _plan.id == given("plan"),
            _plan.lock_epoch == given("epoch_read"),
            _plan.owner_id.is_(None),
        )
        .values(
            state=_constant(PlanState.RUNNING.value),
            history=given("new_history"),
            started_at=given("new_started_at"),
            owner_id=given("new_owner"),
            lock_epoch=given("new_epoch"),
        )
    ),
)
SAVE_PLAN = changing(
    {
        "new_state": _plan.state,
        "new_result": _plan.result,
        "new_history": _plan.history,
        "new_ended_at": _plan.ended_at,
        "new_execution_time": _plan.execution_time,
        "new_real_time": _plan.real_time,
        "keep_request": _FLAG,
        "keep_owner": _FLAG,
        "plan": _plan.id,
        "epoch": _plan.lock_epoch,
    },
    lambda given: (
        update(execution_plans)
        .where(_plan.id == given("plan"), _plan.lock_epoch == given("epoch"))
        .values(
            state=given("new_state"),
            result=given("new_result"),
            history=given("new_history"),
            ended_at=given("new_ended_at"),
            execution_time=given("new_execution_time"),
            real_time=given("new_real_time"),
            requested_at=case((_given_no(given("keep_request")), null()), else_=_plan.requested_at),
            owner_id=case((_given_no(given("keep_owner")), null()), else_=_plan.owner_id),
        )
    ),
)
MARK = changing(
    {
        "new_attempts": _step.attempts,
        "new_started_at": _step.started_at,
        **_THIS_STEP,
        **_THIS_ATTEMPT,
    },
    lambda given: (
        update(steps)
        .where(*_this_step(given, *_this_attempt(given)))
        .values(
            state=_constant(StepState.RUNNING.value),
            attempts=given("new_attempts"),
            started_at=func.coalesce(_step.started_at, given("new_started_at")),
        )
    ),
)
UNMARK = changing(
    {
        "new_state": _step.state,
        "new_attempts": _step.attempts,
        "begun_before": _FLAG,
        **_THIS_STEP,
        "from_attempts": _step.attempts,
    },
    lambda given: (
        update(steps)
        .where(
            *_this_step(
                given,
                _step.state == _constant(StepState.RUNNING.value),
                _step.attempts == given("from_attempts"),
            )
        )
        .values(
            state=given("new_state"),
            attempts=given("new_attempts"),
            started_at=case((_given_no(given("begun_before")), null()), else_=_step.started_at),
        )
    ),
)
RESET = changing(
    _THIS_STEP,
    lambda given: (
        update(steps)
        .where(*_this_step(given, _step.state.in_([_constant(state) for state in RESETTABLE])))
        # Started anew: what happened to it before does not count any more.
        .values(state=_constant(StepState.PENDING.value), due_at=null(), retries=null(), crashes=null())
    ),
)
MOVE = changing(
    {
        "new_state": _step.state,
        "new_attempts": _step.attempts,
        "keep_error": _FLAG,
        "new_due_at": _step.due_at,
        "new_crashes": _step.crashes,
        "new_retries": _step.retries,
        **_THIS_STEP,
        **_THIS_ATTEMPT,
    },
    lambda given: (
        update(steps)
        .where(*_this_step(given, *_this_attempt(given)))
        .values(
            state=given("new_state"),
            attempts=given("new_attempts"),
            error=case((_given_no(given("keep_error")), null()), else_=_step.error),
            due_at=given("new_due_at"),
            crashes=given("new_crashes"),
            retries=given("new_retries"),
        )
    ),
)
OUTCOME = changing(
    {
        "new_state": _step.state,
        "new_error": _step.error,
        "new_ended_at": _step.ended_at,
        "new_execution_time": _step.execution_time,
        "new_real_time": _step.real_time,
        "new_progress_done": _step.progress_done,
        "new_progress_weight": _step.progress_weight,
        "new_worker_pid": _step.worker_pid,
        **_THIS_STEP,
        **_THIS_ATTEMPT,
    },
    lambda given: (
        update(steps)
        .where(*_this_step(given, *_this_attempt(given)))
        .values(
            state=given("new_state"),
            error=given("new_error"),
            ended_at=given("new_ended_at"),
            execution_time=given("new_execution_time"),
            real_time=given("new_real_time"),
            progress_done=given("new_progress_done"),
            progress_weight=func.coalesce(given("new_progress_weight"), _step.progress_weight),
            worker_pid=given("new_worker_pid"),
        )
    ),
)
OUTPUT = replacing(outputs)
# An input that comes back has its references resolved in it.
INPUT = changing(
    {"new_input": _action.input, "plan": _action.execution_plan_id, "action": _action.id},
    lambda given: (
        update(actions).where(*_this_action(given)).values(input=given("new_input"), references=null())
    ),
)
ADD_CHUNK = inserting(output_chunks, or_nothing=True)
DROP_CHUNKS = changing(
    {"plan": _chunk.execution_plan_id, "action": _chunk.action_id, "below": _chunk.id},
    lambda given: delete(output_chunks).where(
        _chunk.execution_plan_id == given("plan"),
        _chunk.action_id == given("action"),
        _chunk.id < given("below"),
    ),
)
JOURNAL = inserting(step_attempts, or_nothing=True)
RECORD_EVENT = inserting(events, or_nothing=True)
FORGET_EVENT = changing(
    {"event": _event.id, "plan": _event.execution_plan_id},
    lambda given: delete(events).where(
        _event.id == given("event"), _event.execution_plan_id == given("plan")
    ),
)
TAKE_EVENT = changing(
    {
        "new_data": _event.data,
        "new_taken_at": _event.taken_at,
        "event": _event.id,
        "plan": _event.execution_plan_id,
    },
    lambda given: (
        update(events)
        .where(_event.id == given("event"), _event.execution_plan_id == given("plan"))
        .values(data=given("new_data"), taken_at=given("new_taken_at"))
    ),
)
POST_EVENT = inserting(posted_events, or_nothing=True)
REQUEST_PLAN = changing(
    {"new_requested_at": _plan.requested_at, "plan": _plan.id},
    lambda given: (
        update(execution_plans)
        .where(
            _plan.id == given("plan"),
            _plan.requested_at.is_(None),
            _plan.owner_id.is_(None),
            _plan.state == _constant(PlanState.PLANNED.value),
        )
        .values(requested_at=given("new_requested_at"))
    ),
)
_HOLD_COLUMNS = select(_plan.id, _plan.lock_epoch, _plan.owner_id).with_for_update()
HOLD_ONE = Statement(_HOLD_COLUMNS.where(_plan.id == bindparam("plan")), ("plan",))
HOLD_MANY = _HOLD_COLUMNS.where(_plan.id.in_(bindparam("plan_ids", expanding=True))).order_by(_plan.id)
