"""What a step wrote beside its output, in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from dynflow_mp.console.api.plans import plan_of
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, PlanId, StepId
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.views.step_details import chunk_text
from dynflow_mp.model.states import Phase
from dynflow_mp.reading.concealment import action_of

routes = router("plans")


class Piece(BaseModel):
    """One piece; what is no text is written as JSON."""

    time: datetime
    kind: str | None
    text: str


class Pieces(BaseModel):
    """A page of them, in order; secrets of the action are masked."""

    chunks: list[Piece]
    total: int
    page: int
    per_page: int


@routes.get("/plans/{plan_id}/steps/{step_id}/chunks", response_model=Pieces)
def list_chunks(
    plan_id: PlanId, step_id: StepId, request: Request, page: Page = 0, per_page: PerPage = 200
) -> Any:
    """What a run step has written so far beside its output; of other steps nothing."""
    plan = plan_of(request, plan_id)
    persistence = request.state.world.persistence
    step = persistence.load_step(plan.id, step_id)
    if step is None:
        raise Refused(404, f"The plan has no step {step_id}.")
    action = action_of(plan, step.action_id)
    part, total = [], 0
    if step.phase is Phase.RUN:
        part, total = persistence.page_of_chunks(plan.id, step.action_id, page * per_page, per_page)
    return {
        "chunks": [
            {"time": chunk.time, "kind": chunk.kind, "text": plain(chunk_text(chunk.value, action))}
            for chunk in part
        ],
        "total": total,
        "page": page,
        "per_page": per_page,
    }
