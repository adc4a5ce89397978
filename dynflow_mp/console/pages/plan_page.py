"""One plan, as a picture of its flow, in words, in time, as a table, with its history, and as it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dynflow_mp.console.pages import plan_tabs
from dynflow_mp.console.pages.asking import now, same_path
from dynflow_mp.console.parts import NO_MORE, is_part
from dynflow_mp.console.rendering import path_for, render
from dynflow_mp.console.views.level_of_detail import ALL_UP_TO
from dynflow_mp.console.views.plan_head import PlanHead, plan_head
from dynflow_mp.console.views.wait_lines import wait_lines
from dynflow_mp.errors import DynflowError, NotScheduled
from dynflow_mp.model.states import PlanState
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.wait import Wait


class Tab(NamedTuple):
    """One view of a plan."""

    route: str
    title: str
    path: str
    template: str
    values: Callable[[Request, Any, PlanHead], Mapping[str, Any]]


TABS = (
    Tab("plan", "Picture", "", "picture.html", plan_tabs.pictures),
    Tab("plan_plan", "Plan", "/plan", "planned.html", plan_tabs.planned),
    Tab("plan_run", "Run", "/run", "tree.html", plan_tabs.run_tree),
    Tab("plan_finalize", "Finalize", "/finalize", "tree.html", plan_tabs.finalize_tree),
    Tab("plan_timeline", "Timeline", "/timeline", "timeline.html", plan_tabs.in_time),
    Tab("plan_steps", "Steps", "/steps", "steps.html", plan_tabs.steps),
    Tab("plan_sub_plans", "Sub-plans", "/sub-plans", "sub_plans.html", plan_tabs.sub_plans),
    Tab("plan_history", "History", "/history", "history.html", plan_tabs.history),
    Tab("plan_raw", "Raw", "/raw", "raw.html", plan_tabs.raw),
)
_MOST_IN_FILE = 20_000
"""Steps of a plan that is had as a file."""
_OF_DAMAGED = ("plan_history", "plan_raw", "plan_sub_plans")


def routes() -> list[Route]:
    """A page for each tab."""
    found = [
        Route(f"/plans/{{plan_id}}{tab.path}", _shows(tab), methods=["GET"], name=tab.route) for tab in TABS
    ]
    return [*found, Route("/plans/{plan_id}/raw.txt", raw_file, methods=["GET"], name="plan_raw_file")]


def _shows(tab: Tab) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        return _page(request, tab)

    return show


def _page(request: Request, tab: Tab) -> Response:
    plan = request.state.world.persistence.load_execution_plan(request.path_params["plan_id"])
    head = head_of(request, plan)
    waits, more_waits = wait_lines(waits_of(request, plan), plan.state)
    shown = plan.valid or tab.route in _OF_DAMAGED
    values: dict[str, Any] = {
        "head": head,
        "tabs": TABS,
        "tab": tab.route,
        "body": tab.template,
        "waits": waits,
        "more_waits": more_waits,
        "shown": shown,
        **(tab.values(request, plan, head) if shown else {}),
    }
    if is_part(request):
        return render(request, "plan_live.html", status_code=200 if head.goes_on else NO_MORE, **values)
    return render(
        request,
        "plan.html",
        **values,
        live=same_path(request, tab.route, plan_id=plan.id) if head.goes_on else None,
        feed=path_for(request, "live_plan", plan_id=plan.id) if head.goes_on else None,
        large=sum(count.number for count in head.counts) > ALL_UP_TO,
    )


def raw_file(request: Request) -> Response:
    """All of the plan's record as a file."""
    plan = request.state.world.persistence.load_execution_plan(request.path_params["plan_id"])
    return as_file(plan_tabs.record_of(plan, _MOST_IN_FILE), f"plan-{plan.id}.json.txt")


def as_file(text: str, name: str) -> Response:
    """A text to be stored, not to be shown: whatever is in it, no browser takes it for a page."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text.encode("utf-8", "replace"), headers=headers)


def head_of(request: Request, plan: Any) -> PlanHead:
    """What stands above every view of a plan."""
    world = request.state.world
    counts = world.persistence.step_counts(plan.id)
    lock = world.coordinator.execution_lock(plan.id)
    status = world.persistence.find_statuses({"id": plan.id}).get(plan.id)
    return plan_head(plan, counts, lock, status, _delayed(world, plan), now())


def waits_of(request: Request, plan: Any) -> list[Wait]:
    """Why a plan and its steps do not go on."""
    if not plan.valid or plan.state == PlanState.STOPPED:
        return []
    try:
        found: list[Wait] = request.state.world.why_waiting(plan.id)
    except DynflowError:  # it says why a page has little to say; the page is worth more than that
        return []
    return found


def _delayed(world: Any, plan: Any) -> Any:
    if plan.state not in (PlanState.SCHEDULED, PlanState.PLANNING):
        return None
    try:
        return world.persistence.load_delayed_plan(plan_id_of(plan.id))
    except NotScheduled:
        return None
