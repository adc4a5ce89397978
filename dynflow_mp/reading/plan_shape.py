"""A plan as programs are told it, alone and in a list, by the command line and by the console's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynflow_mp.reading.concealment import shown_text
from dynflow_mp.reading.data_shape import Shape, time_shape

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.plan_page import PlanLine, PlanPage


def plan_shape(plan: ExecutionPlan) -> Shape:
    """What a plan's own row tells, and its history; ``problem`` is why it cannot be read, if it cannot."""
    return {
        "id": plan.id,
        "label": plan.label,
        "state": str(plan.state),
        "result": str(plan.result),
        "valid": plan.valid,
        "problem": None if plan.exception is None else shown_text(str(plan.exception)),
        "started_at": time_shape(plan.started_at),
        "ended_at": time_shape(plan.ended_at),
        "deadline": time_shape(plan.deadline),
        "execution_time_s": plan.execution_time,
        "real_time_s": plan.real_time,
        "caller_execution_plan_id": plan.caller_execution_plan_id,
        "caller_action_id": plan.caller_action_id,
        "history": [{**past._asdict(), "time": time_shape(past.time)} for past in plan.execution_history],
    }


def page_shape(page: PlanPage) -> Shape:
    """A page of a list; ``total`` plans are in the list, ``cut`` if errors were searched in the newest of them only."""
    return {
        "plans": [_line_shape(line) for line in page.plans],
        "total": page.total,
        "page": page.query.page,
        "per_page": page.query.per_page,
        "cut": page.cut,
    }


def _line_shape(line: PlanLine) -> Shape:
    times = {name: time_shape(getattr(line, name)) for name in ("created_at", "started_at", "ended_at")}
    return {**line._asdict(), "state": str(line.state), "result": str(line.result), **times}
