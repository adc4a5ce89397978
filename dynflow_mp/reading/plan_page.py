"""One page of a list of plans, as people see it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, cast

from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.plan_pages import LineRow, PageRows
from dynflow_mp.persistence.rows import PLAN_STATES, RESULTS
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.step import at


class PlanLine(NamedTuple):
    """One plan in a list. ``state`` and ``result`` of a damaged plan may be words that are none of ours."""

    id: str
    label: str
    action_class: str | None
    """Of its entry action, as it is stored; None where that step is missing."""
    state: PlanState
    result: Result
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    """Seconds from its start to its end, or until now; None for one that has not started."""
    progress: float | None
    """How much of it is done, from 0 to 1; None for a plan that is too large to tell it in a list."""
    step_count: int
    owner_id: str | None
    """The world that runs it."""
    caller_execution_plan_id: str | None
    valid: bool
    """Whether the row makes sense, as far as a list looks into it."""


class PlanPage(NamedTuple):
    """The plans of one page, in order, of ``total`` in the list that ``query`` asks for."""

    plans: list[PlanLine]
    total: int
    query: PlanQuery
    cut: bool
    """Whether a text in errors was looked for in the newest plans with errors only, as there are very many."""

    @property
    def pages(self) -> int:
        """How many pages the list has: at least one."""
        return max(1, -(-self.total // self.query.per_page))


def page_of(rows: PageRows, query: PlanQuery, now: datetime) -> PlanPage:
    """What was read, in words and times."""
    lines = [_line(row, rows.progress.get(row.id), now) for row in rows.lines]
    return PlanPage(lines, rows.total, query, rows.cut)


def _line(row: LineRow, progress: float | None, now: datetime) -> PlanLine:
    state, result = PLAN_STATES.get(row.state), RESULTS.get(row.result)
    return PlanLine(
        row.id,
        row.label,
        row.action_class,
        state or cast(PlanState, row.state),
        result or cast(Result, row.result),
        at(row.created_at),
        at(row.started_at),
        at(row.ended_at),
        _duration_s(row, now),
        progress,
        row.step_count,
        row.owner_id,
        row.caller_execution_plan_id,
        state is not None and result is not None and row.action_class is not None,
    )


def _duration_s(row: LineRow, now: datetime) -> float | None:
    started_at, ended_at = at(row.started_at), at(row.ended_at)
    if started_at is None:
        return None
    return max(0.0, ((ended_at or now) - started_at).total_seconds())
