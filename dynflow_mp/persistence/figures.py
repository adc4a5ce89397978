"""Figures about stored plans, for whoever watches: whether a plan has moved, how many there are of which kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from dynflow_mp.model.states import Phase, PlanState, StepState
from dynflow_mp.persistence.server_settings import version_and_skew
from dynflow_mp.persistence.tables import execution_plans, steps

_plan, _step = execution_plans.c, steps.c
_PASSED = (StepState.SUCCESS.value, StepState.SKIPPED.value)
_NOT_YET = (PlanState.PENDING.value, PlanState.SCHEDULED.value, PlanState.PLANNING.value)
_BY_STATE = (
    select(
        _step.execution_plan_id,
        _step.phase,
        _step.state,
        func.count(),
        func.sum(_step.attempts),
        func.max(_step.started_at),
        func.max(_step.ended_at),
        func.sum(_step.progress_done * _step.progress_weight),
        func.sum(_step.progress_weight),
    )
    .group_by(_step.execution_plan_id, _step.phase, _step.state)
    .order_by(_step.execution_plan_id, _step.phase, _step.state)
)
_OPEN = tuple(state.value for state in PlanState if state is not PlanState.STOPPED)


class Pulse(NamedTuple):
    """Where a plan stands. Two that are equal are of a plan in which nothing has happened between them.

    ``steps``: how many are in which state; ``progress``: how much of its run and finalize steps is done, from 0 to 1, by
    their weights; ``moved``: the rest of what changes with every move, to be compared only.
    """

    state: str
    result: str
    steps: Mapping[str, int]
    progress: float
    moved: tuple[object, ...]


class Figures(NamedTuple):
    """All stored plans, counted. ``oldest_request``: since when somebody waits for an executor, microseconds UTC.

    ``clock_skew_s``: how far our clock is ahead of the server's, in seconds; a file has our own.
    """

    plans: Mapping[tuple[str, str], int]
    """By state and result."""
    open_plans: Mapping[tuple[str, str], int]
    """Those that have not stopped, by the class of their entry action and state."""
    requests: int
    oldest_request: int | None
    clock_skew_s: float


def read_pulses(connection: Connection, plan_ids: Sequence[str]) -> dict[str, Pulse]:
    """Where these plans stand, by id; those that are not stored are left out."""
    ids = list(plan_ids)
    plans = select(_plan.id, _plan.state, _plan.result, _plan.owner_id, _plan.lock_epoch, _plan.requested_at)
    rows = connection.execute(plans.where(_plan.id.in_(ids))).all()
    groups: dict[str, list[Sequence[Any]]] = {row[0]: [] for row in rows}
    for group in connection.execute(_BY_STATE.where(_step.execution_plan_id.in_(ids))):
        if group[0] in groups:
            groups[group[0]].append(group[1:])
    return {row[0]: _pulse(row[1], row[2], row[3:], groups[row[0]]) for row in rows}


def _pulse(state: str, result: str, owned: Sequence[Any], groups: Sequence[Sequence[Any]]) -> Pulse:
    counts: dict[str, int] = {}
    done = weight = 0.0
    for phase, step_state, count, *_, done_here, weight_here in groups:
        counts[step_state] = counts.get(step_state, 0) + count
        if phase != Phase.PLAN.value:
            weight += float(weight_here)
            done += _done(step_state, float(done_here), float(weight_here))
    share = done / weight if weight else 1.0
    moved = (*owned, *(tuple(map(_comparable, group[3:])) for group in groups))
    return Pulse(state, result, counts, 0.0 if state in _NOT_YET else share, moved)


def _done(state: str, done: float, weight: float) -> float:
    """As each step tells its own: one that is to be tried again begins anew."""
    if state in _PASSED:
        return weight
    return 0.0 if state == StepState.PENDING.value else done


def read_figures(connection: Connection, most_classes: int) -> Figures:
    """How many plans there are. The open ones are of ``most_classes`` classes by name, and of ``other``."""
    by_state = select(_plan.state, _plan.result, func.count()).group_by(_plan.state, _plan.result)
    plans = {(state, result): count for state, result, count in connection.execute(by_state)}
    waiting = select(func.count(), func.min(_plan.requested_at)).where(
        _plan.requested_at.is_not(None),
        _plan.owner_id.is_(None),
        _plan.state.in_([PlanState.PLANNED.value, PlanState.PAUSED.value]),
    )
    requests, oldest = connection.execute(waiting).one()
    skew_s = 0.0 if connection.dialect.name == "sqlite" else version_and_skew(connection)[1]
    return Figures(plans, _open_plans(connection, most_classes), int(requests), oldest, skew_s)


def _open_plans(connection: Connection, most_classes: int) -> dict[tuple[str, str], int]:
    query = (
        select(_step.action_class, _plan.state, func.count())
        .select_from(execution_plans)
        .join(steps, (_step.execution_plan_id == _plan.id) & (_step.id == _plan.root_plan_step_id))
        .where(_plan.state.in_(_OPEN))
        .group_by(_step.action_class, _plan.state)
    )
    rows = connection.execute(query).all()
    sums: dict[str, int] = {}
    for name, _, count in rows:
        sums[name] = sums.get(name, 0) + count
    named = set(sorted(sums, key=lambda name: (-sums[name], name))[:most_classes])
    found: dict[tuple[str, str], int] = {}
    for name, state, count in rows:
        key = (name if name in named else "other", state)
        found[key] = found.get(key, 0) + count
    return found


def _comparable(value: object) -> object:
    """Sums are of several kinds, depending on the database."""
    return None if value is None else float(value)  # type: ignore[arg-type]
