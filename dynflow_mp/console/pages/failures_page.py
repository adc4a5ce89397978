"""What holds plans up: failed steps, those of one cause together, and the plans behind each."""

from __future__ import annotations

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.actions.registry import short_name
from dynflow_mp.console.pages.asking import page_number, pages_of, same_path
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import render
from dynflow_mp.console.views.cut_text import CutText, cut, one_line
from dynflow_mp.console.views.paging import one_page
from dynflow_mp.console.views.step_details import error_trace
from dynflow_mp.errors import DynflowError
from dynflow_mp.reading.concealment import shown_error_of, shown_text

_MOST_CLASSES = 3
_ALL = 1_000_000
"""Also a group that is not among those of the list, which may have been there a moment ago."""


class FailureLine(NamedTuple):
    """A group of failures as a page shows it."""

    key: str
    exception_class: str
    message: str
    actions: str
    plan_count: int
    step_count: int
    first_at: Any
    last_at: Any
    example_plan: str
    example_step: int


def routes() -> list[Route]:
    """The groups, and one of them."""
    return [
        Route("/failures", failures, methods=["GET"], name="failures"),
        Route("/failures/{key}", failure, methods=["GET"], name="failure"),
    ]


def failures(request: Request) -> Response:
    """All groups, those that hold up most plans first."""
    groups = request.state.world.persistence.failure_groups()
    values: dict[str, Any] = {"groups": [_line(group) for group in groups], "cut": groups.cut}
    if is_part(request):
        return render(request, "failures_live.html", **values)
    return render(request, "failures.html", **values, live=same_path(request, "failures"))


def failure(request: Request) -> Response:
    """One group with its plans."""
    persistence, key = request.state.world.persistence, request.path_params["key"]
    group = next((one for one in persistence.failure_groups(most=_ALL) if one.key == key), None)
    if group is None:
        raise Refused(404, "No step has failed like that (any more).")
    ids = list(group.plan_ids)
    if len(ids) < group.plan_count:  # not all are named there
        ids = persistence.plans_of_failure(key)
    page, per_page = page_number(request), request.state.settings.page_size
    plans = persistence.find_execution_plans({"id": list(one_page(ids, page, per_page))}, desc=True)
    return render(
        request,
        "failure.html",
        group=_line(group),
        example=_example(request, group),
        plans=plans,
        pages=pages_of(request, len(ids), page, per_page, "failure", (), key=key),
    )


def _example(request: Request, group: Any) -> CutText | None:
    """One of its errors in full; None if that plan has gone on, or is gone."""
    try:
        plan = request.state.world.persistence.load_execution_plan(group.example.plan_id)
        step = plan.steps.get(group.example.step_id)
        error = None if step is None else shown_error_of(step, plan)
    except (DynflowError, LookupError):
        return None
    return None if error is None else cut(f"{error.exception_class}: {error.message}\n\n{error_trace(error)}")


def _line(group: Any) -> FailureLine:
    names = [short_name(name) for name in group.action_classes]
    more = f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    return FailureLine(
        group.key,
        group.exception_class,
        one_line(shown_text(group.message)),
        ", ".join(names[:_MOST_CLASSES]) + more,
        group.plan_count,
        group.step_count,
        group.first_at,
        group.last_at,
        group.example.plan_id,
        group.example.step_id,
    )
