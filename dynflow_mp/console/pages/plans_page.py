"""The list of plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dynflow_mp.console.pages.asking import pages_of, same_path
from dynflow_mp.console.pages.bulk_page import run_lines
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.rendering import path_for, render
from dynflow_mp.console.views.plan_columns import columns, form_time, is_filtered, params_of, unpaged
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.reading.plan_query import PlanQuery

_STATES = (
    *(PlanState.SCHEDULED, PlanState.PLANNING, PlanState.PLANNED, PlanState.RUNNING, PlanState.PAUSED),
    PlanState.STOPPED,
)

_MOST_CLASSES = 200
"""Names that the field for an action's class offers."""


def routes() -> list[Route]:
    """The list, at two addresses: one is the console's own."""
    return [
        Route("/", home, methods=["GET"], name="home"),
        Route("/plans", plans, methods=["GET"], name="plans"),
    ]


def home(request: Request) -> Response:
    """The list of plans is what one comes for."""
    return RedirectResponse(path_for(request, "plans"), 303)


def plans(request: Request) -> Response:
    """A page of the list, or what has changed of it."""
    query = query_of(request)
    page = request.state.world.persistence.page_of_plans(query)
    page_size = request.state.settings.page_size
    params = params_of(unpaged(query), page_size)
    values: dict[str, Any] = {
        "page": page,
        "query": query,
        "pages": pages_of(request, page.total, query.page, query.per_page, "plans", params),
        "columns": columns(query, page_size),
        "filtered": is_filtered(query),
        "runs": run_lines(request, at_work=True),
    }
    if is_part(request):
        return render(request, "plans_table.html", **values)
    return render(
        request,
        "plans.html",
        **values,
        states=_STATES,
        results=tuple(Result),
        action_classes=request.state.world.persistence.action_classes()[:_MOST_CLASSES],
        since_text=form_time(query.since),
        until_text=form_time(query.until),
        query_text=urlencode(params),
        live=same_path(request, "plans"),
        feed=path_for(request, "live_plans", query=params_of(query, page_size)),
    )


def query_of(request: Request) -> PlanQuery:
    """What the list is asked for; a page has as many plans as the console's settings say, unless told otherwise."""
    given = request.query_params.multi_items()
    query = PlanQuery.from_params(given)
    if any(name == "per_page" and text for name, text in given):
        return query
    return replace(query, per_page=request.state.settings.page_size)
