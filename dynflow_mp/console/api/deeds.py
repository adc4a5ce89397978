"""Plans, changed; each as the pages do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dynflow_mp.console import deeds
from dynflow_mp.console.api import shapes
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import PlanId, StepId
from dynflow_mp.console.deeds import deeds_of
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.refusals import Refused
from dynflow_mp.persistence.backup import from_json

routes = router("deeds")

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": shapes.Outcome, "description": "It is done"},
    202: {"model": shapes.Outcome, "description": "It is asked for, and under way"},
}


def answer(outcome: deeds.Outcome) -> Response:
    """An outcome: 200, or 202 while it is under way."""
    facts: Mapping[str, Any] = {**outcome.facts, "finished": outcome.finished, "sentence": outcome.sentence}
    return JSONResponse(plain(dict(facts)), 200 if outcome.finished else 202)


@routes.post("/plans/{plan_id}/resume", response_model=None, responses=ANSWERS)
def resume(plan_id: PlanId, request: Request, wanted: shapes.Resume | None = None) -> Response:
    """Run a plan that is paused or was only planned."""
    return answer(deeds_of(request).resume(plan_id, sub_plans=wanted is not None and wanted.sub_plans))


@routes.post("/plans/{plan_id}/skip", response_model=None, responses=ANSWERS)
def skip(plan_id: PlanId, request: Request, wanted: shapes.SkipOne) -> Response:
    """Skip a failed step with all that needs it; the plan stays paused."""
    return answer(deeds_of(request).skip(plan_id, wanted.step_id))


@routes.post("/plans/{plan_id}/skip-and-resume", response_model=None, responses=ANSWERS)
def skip_and_resume(
    plan_id: PlanId, request: Request, wanted: shapes.SkipAndResume | None = None
) -> Response:
    """Skip a failed step, or all of them, and go on."""
    return answer(deeds_of(request).skip_and_resume(plan_id, None if wanted is None else wanted.step_id))


@routes.post("/plans/{plan_id}/cancel", response_model=None, responses=ANSWERS)
def cancel(plan_id: PlanId, request: Request, wanted: shapes.Cancel | None = None) -> Response:
    """Tell every step that can be cancelled to end."""
    return answer(deeds_of(request).cancel(plan_id, force=wanted is not None and wanted.force))


@routes.post("/plans/{plan_id}/halt", response_model=None, responses=ANSWERS)
def halt(plan_id: PlanId, request: Request) -> Response:
    """Stop the plan for good."""
    return answer(deeds_of(request).halt(plan_id))


@routes.post("/plans/{plan_id}/steps/{step_id}/input", response_model=None, responses=ANSWERS)
def edit_input(plan_id: PlanId, step_id: StepId, request: Request, wanted: shapes.EditInput) -> Response:
    """Change a failed step's input."""
    changes = _meant(wanted.changes, "changes")
    return answer(deeds_of(request).edit_input(plan_id, step_id, changes, replace=wanted.replace))


@routes.post("/plans/{plan_id}/steps/{step_id}/event", response_model=None, responses=ANSWERS)
def event(plan_id: PlanId, step_id: StepId, request: Request, wanted: shapes.SendEvent) -> Response:
    """Wake a step that waits."""
    meant = _meant(wanted.event, "event")
    return answer(deeds_of(request).event(plan_id, step_id, meant, optional=wanted.optional))


def _meant(value: Any, field: str) -> Any:
    """What is sent with the tags that a step's input is told with, as it is stored."""
    try:
        return from_json(value)
    except Exception as error:  # whatever a tag's own kind makes of what is not of it
        raise Refused(400, f"{field}: what is tagged with $ is not of its kind.", field=field) from error
