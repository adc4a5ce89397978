"""What each view of a plan shows: values for its template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request

from dynflow_mp.console.pages.asking import now, page_number, pages_of, whole_number
from dynflow_mp.console.rendering import path_for
from dynflow_mp.console.views import level_of_detail, time_chart
from dynflow_mp.console.views.cut_text import cut
from dynflow_mp.console.views.flow_picture import Picture, StepFacts, picture
from dynflow_mp.console.views.level_of_detail import Path, path_from, path_text, place_of, visible
from dynflow_mp.console.views.paging import one_page
from dynflow_mp.console.views.plan_head import PlanHead
from dynflow_mp.console.views.plan_record import MOST_STEPS, plan_record
from dynflow_mp.console.views.planned_tree import made_steps, planned_lines, planned_order
from dynflow_mp.console.views.step_rows import AskedSteps, asked_for, step_line
from dynflow_mp.console.views.tree_lines import Line, tree_lines
from dynflow_mp.console.wording import duration_text, percent_text
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.reading.concealment import shown_error_of
from dynflow_mp.reading.flow_tree import flow_tree
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.timeline import timeline

_MOST_EVENTS = 500
_STEPS_OF_BEGINNING = 20
"""More than enough for what a page shows of a plan's record."""
_LARGEST_STEP = 1_000_000_000
_TITLES = {Phase.RUN: "Run", Phase.FINALIZE: "Finalize"}
_NOTHING = {
    Phase.RUN: "No action of this plan has a run step.",
    Phase.FINALIZE: "No action of this plan has a finalize step.",
}

Values = Mapping[str, Any]


class Crumb(NamedTuple):
    title: str
    params: list[tuple[str, str]]


class FlowPart(NamedTuple):
    """One of a plan's flows, drawn or in words."""

    title: str
    nothing: str
    total: int
    crumbs: list[Crumb]
    here: str
    picture: Picture | None = None
    lines: list[Line] | None = None


def pictures(request: Request, plan: Any, head: PlanHead) -> Values:
    """Both flows as pictures."""
    phases = [phase for phase in (Phase.RUN, Phase.FINALIZE) if _asked_phase(request) in (None, phase)]
    parts = [_part(request, plan, phase, drawn=True) for phase in phases]
    drawn = [part for part in parts if part.picture is not None]
    return {"parts": drawn or parts[:1]}


def run_tree(request: Request, plan: Any, head: PlanHead) -> Values:
    """The run flow in words."""
    return {"parts": [_part(request, plan, Phase.RUN, drawn=False)]}


def finalize_tree(request: Request, plan: Any, head: PlanHead) -> Values:
    """The finalize flow in words."""
    return {"parts": [_part(request, plan, Phase.FINALIZE, drawn=False)]}


def planned(request: Request, plan: Any, head: PlanHead) -> Values:
    """Which action planned which."""
    page, per_page = page_number(request), request.state.settings.steps_page_size
    order = planned_order(plan.root_plan_step.id, plan.steps)
    lines = planned_lines(one_page(order, page, per_page), plan.steps, made_steps(plan.steps.values()))
    pages = pages_of(request, len(order), page, per_page, "plan_plan", (), plan_id=plan.id)
    return {"lines": lines, "pages": pages}


def in_time(request: Request, plan: Any, head: PlanHead) -> Values:
    """When which step ran where."""
    found = timeline(plan, now())
    if found.start is None or found.end is None:
        return {"chart": None}
    titles = {lane.number: _lane_title(lane.worker_pid) for lane in found.lanes}
    spans = [_Span(bar.step_id, titles[bar.lane], *bar[2:]) for bar in found.bars]
    window = time_chart.window_of(request.query_params.get("from"), request.query_params.get("to"))
    steps = plan.steps
    chart = time_chart.chart(
        spans,
        found.critical_path,
        lambda step_id: str(steps[step_id].action_class),
        found.start,
        found.end,
        window,
    )
    return {"chart": chart}


def steps(request: Request, plan: Any, head: PlanHead) -> Values:
    """Steps as a table."""
    asked = AskedSteps.from_params(request.query_params.multi_items())
    page, per_page = page_number(request), request.state.settings.steps_page_size
    found = asked_for(plan.steps.values(), asked)
    rows = [
        step_line(step, head.state, lambda one: shown_error_of(one, plan), now())
        for step in one_page(found, page, per_page)
    ]
    return {
        "asked": asked,
        "rows": rows,
        "step_states": _states_there_are(head, asked),
        "search_text": asked.text,
        "pages": pages_of(
            request, len(found), page, per_page, "plan_steps", asked.to_params(), plan_id=plan.id
        ),
    }


def sub_plans(request: Request, plan: Any, head: PlanHead) -> Values:
    """The plans that its actions triggered."""
    per_page = request.state.settings.page_size
    query = PlanQuery(caller=plan.id, page=page_number(request), per_page=per_page)
    page = request.state.world.persistence.page_of_plans(query)
    pages = pages_of(request, page.total, query.page, per_page, "plan_sub_plans", (), plan_id=plan.id)
    return {"page": page, "pages": pages}


def history(request: Request, plan: Any, head: PlanHead) -> Values:
    """What was done with it, the latest first."""
    events = plan.execution_history
    return {"events": events[::-1][:_MOST_EVENTS], "left": max(0, len(events) - _MOST_EVENTS)}


def raw(request: Request, plan: Any, head: PlanHead) -> Values:
    """As it is stored, as far as it may be shown."""
    return {
        "raw": cut(record_of(plan, _STEPS_OF_BEGINNING)),
        "file": path_for(request, "plan_raw_file", plan_id=plan.id),
    }


def record_of(plan: Any, most_steps: int) -> str:
    """A plan as a text, with so many of its steps."""
    if plan.valid and most_steps > MOST_STEPS:
        len(plan.actions)  # reads them all at once, not one after the other
    return plan_record(plan, most_steps)


class _Span(NamedTuple):
    """A bar with its worker's name in the place of its lane's number."""

    step_id: int
    lane: Any
    start: Any
    end: Any
    state: Any
    critical: bool


def _lane_title(pid: int | None) -> str:
    return "not known yet" if pid is None else f"pid {pid}"


def _part(request: Request, plan: Any, phase: Phase, drawn: bool) -> FlowPart:
    tree = flow_tree(plan, phase)
    title, nothing = _TITLES[phase], _NOTHING[phase]
    if not tree.total:
        return FlowPart(title, nothing, 0, [], "")
    path, start, marked = _place(request, tree, phase)
    shown = visible(tree, path, start)
    part = FlowPart(title, nothing, tree.total, _crumbs(tree, path, phase), _here(tree, path))
    facts = _facts(plan)
    if drawn:
        return part._replace(picture=_of_phase(picture(shown, facts, marked), phase))
    return part._replace(lines=tree_lines(shown, facts))


def _place(request: Request, tree: Any, phase: Phase) -> tuple[Path, int, int | None]:
    """Which part of a flow is asked for: by its path, or by a step to be found in it."""
    step_id = whole_number(request, "step", _LARGEST_STEP)
    if step_id:
        found = place_of(tree, step_id)
        if found is not None and tree.total > level_of_detail.ALL_UP_TO:
            path, place = found
            return path, place // level_of_detail.WINDOW * level_of_detail.WINDOW, step_id
        return (), 0, step_id
    if _asked_phase(request) not in (None, phase):
        return (), 0, None
    path = path_from(request.query_params.get("at", ""))
    return path, whole_number(request, "start", _LARGEST_STEP), None


def _asked_phase(request: Request) -> Phase | None:
    return Phase.FINALIZE if request.query_params.get("phase") == Phase.FINALIZE else None


def _of_phase(found: Picture, phase: Phase) -> Picture:
    """Links into the finalize flow say so."""
    if phase is Phase.RUN:
        return found
    more = (("phase", str(phase)),)
    boxes = [box._replace(params=(*box.params, *more)) if box.params else box for box in found.boxes]
    return found._replace(boxes=boxes)


def _crumbs(tree: Any, path: Path, phase: Phase) -> list[Crumb]:
    """The way back out of a group."""
    more = [] if phase is Phase.RUN else [("phase", str(phase))]
    found = []
    for length in range(len(path)):
        node, _ = level_of_detail.part_at(tree, path[:length])
        at = [("at", path_text(path[:length]))] if length else []
        title = "All" if not length else f"{node.total:,} steps"
        found.append(Crumb(title, [*at, *more]))
    return found if len(found) <= 6 else [found[0], *found[-5:]]


def _here(tree: Any, path: Path) -> str:
    node, _ = level_of_detail.part_at(tree, path)
    return f"{node.total:,} steps"


def _facts(plan: Any) -> Callable[[int], StepFacts]:
    steps = plan.steps

    def facts(step_id: int) -> StepFacts:
        step = steps.get(step_id)
        if step is None:
            return StepFacts("missing", str(StepState.PENDING), 0.0, "")
        return StepFacts(step.action_class, str(step.state), step.progress_done, _aside(step))

    return facts


def _aside(step: Any) -> str:
    """What else is worth a glance."""
    if step.state in (StepState.RUNNING, StepState.SUSPENDED):
        return percent_text(step.progress_done) if step.progress_done else ""
    return duration_text(step.real_time) if step.ended_at is not None and step.real_time else ""


def _states_there_are(head: PlanHead, asked: AskedSteps) -> list[str]:
    """The states that one can usefully ask for."""
    there = {count.state for count in head.counts} | set(asked.states)
    return [str(state) for state in StepState if state in there]
