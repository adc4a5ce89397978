"""Sub-plans as their callers and executors need them: counted, and taken up many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, literal_column, select, update

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.hooks import kinds_of
from dynflow_mp.model.plans import Payload, PlanSkeleton, StepKind, StepTable
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.sub_plans import Briefing, SubPlanCount
from dynflow_mp.persistence.held_by_plans import give_up_all
from dynflow_mp.persistence.hook_rows import note_for_waiting
from dynflow_mp.persistence.rows import PLAN_STATES, RESULTS, STEP_STATES, PlanRow
from dynflow_mp.persistence.skeleton import CHUNK, PLAN_AND_CALLER, assembled
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import actions, actions_with_outputs, execution_plans, outputs, steps

MOST_NAMED = 500
"""How many held-back sub-plans are named in one briefing: as many may be started by one call."""

_plan = execution_plans.c
_THIS_CALLER = (
    _plan.caller_execution_plan_id == bindparam("plan"),
    _plan.caller_action_id == bindparam("action"),
)
BEGUN = case((_plan.lock_epoch > literal_column("0"), literal_column("1")), else_=literal_column("0"))
REQUESTED = case((_plan.requested_at.is_(None), literal_column("0")), else_=literal_column("1"))
_COUNTS = Statement(
    select(_plan.state, _plan.result, BEGUN, REQUESTED, func.count())
    .where(*_THIS_CALLER)
    .group_by(_plan.state, _plan.result, BEGUN, REQUESTED),
    ("plan", "action"),
)
_HELD_BACK = (
    select(_plan.id)
    .where(
        *_THIS_CALLER,
        _plan.state == literal_column(f"'{PlanState.PLANNED.value}'"),
        _plan.requested_at.is_(None),
        _plan.owner_id.is_(None),
    )
    .order_by(_plan.id)
    .limit(MOST_NAMED)
)

_IDS: Any = bindparam("ids", expanding=True)
_MANY_PLANS = PLAN_AND_CALLER.where(_plan.id.in_(_IDS))
_MANY_STEPS = select(
    steps.c.execution_plan_id,
    steps.c.id,
    steps.c.phase,
    steps.c.state,
    steps.c.attempts,
    steps.c.action_id,
    steps.c.action_class,
    steps.c.queue,
    steps.c.execution_time,
).where(steps.c.execution_plan_id.in_(_IDS))
_MANY_PAYLOADS = (
    select(actions.c.execution_plan_id, actions.c.id, actions.c.input, actions.c.references, outputs.c.output)
    .select_from(actions_with_outputs)
    .where(actions.c.execution_plan_id.in_(_IDS))
)


def read_briefing(connection: Connection, plan_id: str, action_id: int) -> Briefing:
    """How the sub-plans of an action stand, and which of them come next if some are held back."""
    rows = _COUNTS.run(connection, (plan_id, action_id)).fetchall()
    counts = tuple(
        SubPlanCount(PLAN_STATES[state], RESULTS[result], bool(begun), bool(requested), int(number))
        for state, result, begun, requested, number in rows
    )
    waiting = any(count.state is PlanState.PLANNED and not count.requested for count in counts)
    held_back: tuple[str, ...] = ()
    if waiting:
        held_back = tuple(connection.execute(_HELD_BACK, {"plan": plan_id, "action": action_id}).scalars())
    return Briefing(counts, held_back)


def end_never_begun(
    connection: Connection,
    plan_id: str,
    action_id: int | None,
    held_back_only: bool,
    error: bytes,
    now: int,
) -> int:
    """Stop sub-plans of an action (of all, with None) that nobody has begun, their run steps charged with ``error``; how many.

    They are taken and given up in one move: whoever has read them to run them finds another epoch.
    """
    some = _never_begun(plan_id, action_id, held_back_only).limit(CHUNK).with_for_update()
    ended = 0
    while ids := list(connection.execute(some).scalars()):
        _stop_with_error(connection, ids, now)
        _charge_run_steps(connection, ids, error, now)
        note_for_waiting(connection, ids, kinds_of(PlanState.STOPPED, Result.ERROR), Result.ERROR, now)
        give_up_all(connection, ids)
        ended += len(ids)
    return ended


def _never_begun(plan_id: str, action_id: int | None, held_back_only: bool) -> Select[Any]:
    waiting = select(_plan.id).where(
        _plan.caller_execution_plan_id == plan_id,
        _plan.state == PlanState.PLANNED.value,
        _plan.owner_id.is_(None),
        _plan.lock_epoch == 0,
    )
    if action_id is not None:
        waiting = waiting.where(_plan.caller_action_id == action_id)
    if held_back_only:
        waiting = waiting.where(_plan.requested_at.is_(None))
    return waiting.order_by(_plan.id)


def _stop_with_error(connection: Connection, ids: list[str], now: int) -> None:
    stopped = {"state": PlanState.STOPPED.value, "result": Result.ERROR.value, "ended_at": now}
    connection.execute(
        update(execution_plans).where(_plan.id.in_(ids)).values(**stopped, requested_at=None, lock_epoch=1)
    )


def _charge_run_steps(connection: Connection, ids: list[str], error: bytes, now: int) -> None:
    connection.execute(
        update(steps)
        .where(
            steps.c.execution_plan_id.in_(ids),
            steps.c.phase == Phase.RUN.value,
            steps.c.state == StepState.PENDING.value,
        )
        .values(state=StepState.ERROR.value, error=error, ended_at=now)
    )


def running_of(connection: Connection, plan_id: str, action_id: int) -> list[str]:
    """The sub-plans of an action that somebody runs."""
    query = select(_plan.id).where(
        _plan.caller_execution_plan_id == plan_id,
        _plan.caller_action_id == action_id,
        _plan.owner_id.is_not(None),
    )
    return list(connection.execute(query).scalars())


def failed_below(connection: Connection, plan_id: str) -> list[str]:
    """All plans below this one, however deep, that are paused with an error; the deepest first."""
    found: list[str] = []
    callers = [plan_id]
    open_ones = select(_plan.id, _plan.state, _plan.result).where(
        _plan.state.in_([PlanState.PAUSED.value, PlanState.RUNNING.value])
    )
    while callers:
        below: list[str] = []
        for start in range(0, len(callers), CHUNK):
            some = callers[start : start + CHUNK]
            rows = connection.execute(open_ones.where(_plan.caller_execution_plan_id.in_(some))).all()
            below += [row[0] for row in rows]
            found += [row[0] for row in rows if row[1:] == (PlanState.PAUSED.value, Result.ERROR.value)]
        callers = below
    return found[::-1]


def read_fresh(
    connection: Connection, plan_ids: Sequence[str], up_to_steps: int
) -> tuple[list[tuple[PlanSkeleton, list[Payload]]], list[str]]:
    """Those of these plans that are planned, requested and nobody's, whole; and those too large for that.

    Plans that have begun before, that cannot be read or are gone are left out: whoever wants such a
    one reads it by itself.
    """
    found: list[tuple[PlanSkeleton, list[Payload]]] = []
    large: list[str] = []
    for start in range(0, len(plan_ids), CHUNK):
        ids = list(plan_ids[start : start + CHUNK])
        rows = [(PlanRow(*row[:-1]), row[-1]) for row in connection.execute(_MANY_PLANS, {"ids": ids})]
        fresh = {row.id: (row, caller_step) for row, caller_step in rows if _is_fresh(row)}
        large += [plan_id for plan_id, (row, _) in fresh.items() if row.step_count > up_to_steps]
        small = [plan_id for plan_id in ids if plan_id in fresh and plan_id not in large]
        if small:
            found += _assembled(connection, small, fresh)
    return found, large


def _is_fresh(row: PlanRow) -> bool:
    return (
        row.state == PlanState.PLANNED
        and row.owner_id is None
        and row.requested_at is not None
        and row.lock_epoch == 0
    )


def _assembled(
    connection: Connection, ids: list[str], rows: dict[str, tuple[PlanRow, int | None]]
) -> Iterable[tuple[PlanSkeleton, list[Payload]]]:
    own_steps: dict[str, list[Any]] = {plan_id: [] for plan_id in ids}
    for plan_id, *step in connection.execute(_MANY_STEPS, {"ids": ids}):
        own_steps[plan_id].append(step)
    payloads: dict[str, list[Payload]] = {plan_id: [] for plan_id in ids}
    for plan_id, *payload in connection.execute(_MANY_PAYLOADS, {"ids": ids}):
        payloads[plan_id].append(Payload(*payload))
    for plan_id in ids:
        row, caller_step = rows[plan_id]
        try:
            yield _fresh_skeleton(row, caller_step, own_steps[plan_id]), payloads[plan_id]
        except (DynflowError, LookupError, TypeError, ValueError, OverflowError):
            continue  # who asks for it by itself is told what is wrong with it


def _fresh_skeleton(row: PlanRow, caller_step: int | None, found: list[Any]) -> PlanSkeleton:
    """The skeleton of a plan that was never begun: no step has been, and no event is there."""
    if len(found) != row.step_count:
        raise LookupError(f"{row.step_count} steps were planned, {len(found)} are stored")
    table = StepTable(max((step[0] for step in found), default=0))
    planning_time = 0.0
    for step_id, phase, state, attempts, action_id, action_class, queue, execution_time in found:
        if phase == Phase.PLAN:
            planning_time += execution_time
        else:
            kind = StepKind(action_class, queue or DEFAULT_QUEUE)
            table.add(step_id, STEP_STATES[state], attempts, action_id, kind)
    return assembled(row, caller_step, table, {}, planning_time, ())
