"""Plans as pictures show them: flow, timeline, and what is waited for – in pages, for large ones."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from dynflow_mp.console.api.plans import plan_of
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, PlanId, Time
from dynflow_mp.model.states import Phase
from dynflow_mp.reading.flow_tree import flow_tree
from dynflow_mp.reading.timeline import timeline

routes = router("pictures")


class FlowNode(BaseModel):
    """A node of the flow, before all that is in it; ``depth`` says in which of those before it stands."""

    depth: int
    kind: str
    step_id: int | None
    total: int
    done: int
    failed: int
    running: int
    suspended: int


class Flow(BaseModel):
    """A page of a flow's nodes: flat, since a flow may nest deeper than readers of JSON go."""

    nodes: list[FlowNode]
    total: int
    page: int
    per_page: int


class Bar(BaseModel):
    """When a step ran, and on which lane of workers; ``critical``: the plan's end waited for it."""

    step_id: int
    lane: int
    start: Time
    end: Time
    state: str
    critical: bool


class Lane(BaseModel):
    """A worker's row; None where it is not known whose."""

    number: int
    worker_pid: int | None


class Timeline(BaseModel):
    """A page of bars by their starts, and all of the lanes and of the critical path."""

    bars: list[Bar]
    lanes: list[Lane]
    critical_path: list[int]
    start: Time | None
    end: Time | None
    total: int
    page: int
    per_page: int


class Wait(BaseModel):
    """Why a step, or without one the whole plan, does not go on; ``since`` where that is written down."""

    step_id: int | None
    kind: str
    sentence: str
    since: Time | None


class Waits(BaseModel):
    """A page of what a plan waits for."""

    waits: list[Wait]
    total: int
    page: int
    per_page: int


@routes.get("/plans/{plan_id}/flow", response_model=Flow)
def flow(
    plan_id: PlanId, request: Request, phase: Phase = Phase.RUN, page: Page = 0, per_page: PerPage = 500
) -> Any:
    """In which order the steps of a phase are to run; of phase plan, which action planned which."""
    nodes = list(flow_tree(plan_of(request, plan_id), phase).walk())
    part = nodes[page * per_page : (page + 1) * per_page]
    return {
        "nodes": [
            {
                "depth": depth,
                "kind": str(node.kind),
                "step_id": node.step_id,
                "total": node.total,
                "done": node.done,
                "failed": node.failed,
                "running": node.running,
                "suspended": node.suspended,
            }
            for depth, node in part
        ],
        "total": len(nodes),
        "page": page,
        "per_page": per_page,
    }


@routes.get("/plans/{plan_id}/timeline", response_model=Timeline)
def bars(plan_id: PlanId, request: Request, page: Page = 0, per_page: PerPage = 500) -> Any:
    """When its steps ran, on which worker, and which of them its end waited for."""
    found = timeline(plan_of(request, plan_id))
    part = found.bars[page * per_page : (page + 1) * per_page]
    return {
        "bars": [bar._asdict() for bar in part],
        "lanes": [lane._asdict() for lane in found.lanes],
        "critical_path": found.critical_path,
        "start": found.start,
        "end": found.end,
        "total": len(found.bars),
        "page": page,
        "per_page": per_page,
    }


@routes.get("/plans/{plan_id}/waiting", response_model=Waits)
def waiting(plan_id: PlanId, request: Request, page: Page = 0, per_page: PerPage = 200) -> Any:
    """Why the plan, and each of its steps that waits, does not go on; nothing if it does, or is over."""
    found = request.state.world.why_waiting(plan_id)
    part = found[page * per_page : (page + 1) * per_page]
    return {
        "waits": [wait._asdict() for wait in part],
        "total": len(found),
        "page": page,
        "per_page": per_page,
    }
