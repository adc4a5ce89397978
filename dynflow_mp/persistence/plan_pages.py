"""One page of a list of plans, and how many the list has: in few milliseconds, however many are stored.

ids of the page, in order ─▶ their rows without flows and payloads ─▶ progress of those that are on their way
how many there are        (ids and number come from an index alone, except for what no index has)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, case, func, select

from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.persistence.plan_filters import (
    ERROR,
    MOST_SEARCHED,
    SEARCHING,
    Filters,
    filtered,
    paged,
    troubled,
    with_full_names,
)
from dynflow_mp.persistence.tables import execution_plans, steps

MOST_STEPS = 200_000
"""The progress of so many steps is added up for one page; the largest plans of a page of more are left out."""
_FEW = 2_000

_plan, _step = execution_plans.c, steps.c
_ORDERS: Mapping[str, tuple[Column[Any], ...]] = {
    "started_at": (_plan.started_at, _plan.id),
    "created_at": (_plan.id,),
    "ended_at": (_plan.ended_at, _plan.id),
    "label": (_plan.label, _plan.id),
    "state": (_plan.state, _plan.started_at, _plan.id),
    "result": (_plan.result, _plan.started_at, _plan.id),
}
"""Those of :mod:`dynflow_mp.model.plan_orders`, each but the last the order of an index. By their creation means by their
ids, which follow it."""
_LINES = (
    select(
        _plan.id,
        _plan.label,
        _step.action_class,
        _plan.state,
        _plan.result,
        _plan.created_at,
        _plan.started_at,
        _plan.ended_at,
        _plan.real_time,
        _plan.step_count,
        _plan.owner_id,
        _plan.caller_execution_plan_id,
    )
    .select_from(execution_plans)
    .outerjoin(steps, and_(_step.execution_plan_id == _plan.id, _step.id == _plan.root_plan_step_id))
)
_PASSED = (StepState.SUCCESS.value, StepState.SKIPPED.value)
_NOT_YET = (PlanState.PENDING, PlanState.SCHEDULED, PlanState.PLANNING, PlanState.PLANNED)
_DONE = case(
    (_step.state.in_(_PASSED), 1.0), (_step.state == StepState.PENDING.value, 0.0), else_=_step.progress_done
)
_PROGRESS = (
    select(_step.execution_plan_id, func.sum(_DONE * _step.progress_weight), func.sum(_step.progress_weight))
    .where(_step.phase != Phase.PLAN.value)
    .group_by(_step.execution_plan_id)
)


class LineRow(NamedTuple):
    """One plan of a list; times microseconds UTC, ``real_time`` seconds, words as they are stored."""

    id: str
    label: str
    action_class: str | None
    state: str
    result: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    real_time: float
    step_count: int
    owner_id: str | None
    caller_execution_plan_id: str | None


class PageRows(NamedTuple):
    """``lines`` in order; ``total`` plans are in the list; ``progress``, from 0 to 1, of those that have one.

    ``cut``: a text was looked for in the newest plans with errors only, as there are very many.
    """

    lines: list[LineRow]
    total: int
    progress: dict[str, float]
    cut: bool


def read_page(
    connection: Connection, filters: Filters | None, order_by: str, desc: bool, page: int, per_page: int
) -> PageRows:
    """A page of the plans that ``filters`` let through; beyond the last one it is empty."""
    filters = with_full_names(connection, filters)
    nulls_are_last = connection.dialect.name == "postgresql"
    keys = (_in_order(column, desc, nulls_are_last) for column in _ORDERS[order_by])
    in_order = filtered(select(_plan.id), filters).order_by(*keys)
    ids, total = _ids_and_total(connection, filters, in_order, page, per_page)
    rows = {row[0]: LineRow._make(row) for row in connection.execute(_LINES.where(_plan.id.in_(ids)))}
    lines = [rows[plan_id] for plan_id in ids if plan_id in rows]
    return PageRows(lines, total, _progress(connection, lines), _is_cut(connection, filters))


def _in_order(column: Column[Any], desc: bool, nulls_are_last: bool) -> ColumnElement[Any]:
    """What has no value comes first, upwards; said only where it must be, lest an index does not serve."""
    if not (column.nullable and nulls_are_last):
        return column.desc() if desc else column.asc()
    return column.desc().nulls_last() if desc else column.asc().nulls_first()


def _ids_and_total(
    connection: Connection, filters: Filters | None, in_order: Select[Any], page: int, per_page: int
) -> tuple[list[str], int]:
    if any(name in SEARCHING for name in filters or ()):
        # Where looking costs more than finding, few are found by one look instead of two.
        ids = list(connection.execute(in_order.limit(_FEW)).scalars())
        if len(ids) < _FEW:
            return ids[page * per_page : (page + 1) * per_page], len(ids)
    ids = list(connection.execute(paged(in_order, page, per_page)).scalars())
    count = filtered(select(func.count()).select_from(execution_plans), filters)
    return ids, int(connection.execute(count).scalar_one())


def _is_cut(connection: Connection, filters: Filters | None) -> bool:
    """Whether there were more plans with errors than are looked into."""
    if not filters or ERROR not in filters:
        return False
    others = {name: value for name, value in filters.items() if name != ERROR}
    beyond = filtered(select(_plan.id).where(troubled()), others).limit(1).offset(MOST_SEARCHED)
    return connection.execute(beyond).first() is not None


def _progress(connection: Connection, lines: Sequence[LineRow]) -> dict[str, float]:
    """Of plans that went well, or have not begun, it is known without their steps."""
    known: dict[str, float] = {line.id: 0.0 for line in lines if line.state in _NOT_YET}
    known |= {line.id: 1.0 for line in lines if _went_well(line)}
    asked, budget = [], MOST_STEPS
    for line in sorted(lines, key=lambda line: line.step_count):
        if line.id not in known and line.step_count <= budget:
            asked.append(line.id)
            budget -= line.step_count
    if asked:
        rows: Any = connection.execute(_PROGRESS.where(_step.execution_plan_id.in_(asked)))
        known |= dict.fromkeys(asked, 1.0)
        known |= {plan_id: float(done / weight) if weight else 1.0 for plan_id, done, weight in rows}
    return known


def _went_well(line: LineRow) -> bool:
    return line.state == PlanState.STOPPED and line.result in (Result.SUCCESS, Result.WARNING)
