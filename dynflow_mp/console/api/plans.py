"""Plans and their steps, read."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.api import shapes
from dynflow_mp.console.api.query_parameters import PLAN_QUERY
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, PlanId, StepId
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import NotScheduled, PersistenceError, PlanNotFound
from dynflow_mp.model.states import Phase, PlanState, StepState
from dynflow_mp.reading.concealment import shown_error_of
from dynflow_mp.reading.error_shape import brief_error_shape
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.plan_shape import page_shape, plan_shape
from dynflow_mp.reading.step_shape import step_shape, whole_step_shape

routes = router("plans")


@routes.get("/plans", response_model=shapes.Lines, openapi_extra={"parameters": PLAN_QUERY})
def list_plans(request: Request) -> Any:
    """A page of a list of plans, with filters and an ordering as in the address of the plans page."""
    query = PlanQuery.from_params(request.query_params.multi_items())
    return page_shape(request.state.world.persistence.page_of_plans(query))


@routes.get("/plans/{plan_id}", response_model=shapes.PlanFacts)
def one_plan(plan_id: PlanId, request: Request) -> Any:
    """One plan, without its steps."""
    plan = plan_of(request, plan_id)
    pulse = request.state.world.persistence.pulses([plan.id]).get(plan.id)
    if pulse is None:
        raise refused_of(PlanNotFound(f"no plan {plan.id} is stored", plan.id))
    return {
        **plan_shape(plan),
        "progress": pulse.progress,
        "cancellable": plan.valid and plan.cancellable,
        "step_counts": dict(pulse.steps),
        "sub_plans_count": plan.sub_plans_count,
        "delay": _delay_of(request, plan),
    }


@routes.get("/plans/{plan_id}/steps", response_model=shapes.Steps)
def steps_of_plan(
    plan_id: PlanId,
    request: Request,
    phase: Phase | None = None,
    state: StepState | None = None,
    page: Page = 0,
    per_page: PerPage = 200,
) -> Any:
    """A page of its steps, by their ids."""
    plan = plan_of(request, plan_id)
    persistence = request.state.world.persistence
    part, total = persistence.page_of_steps(plan.id, phase, state, page, per_page)
    return {
        # Their actions are not read for what was secret in errors: what was is hidden since they were stored.
        "steps": [step_shape(step, brief_error_shape(shown_error_of(step))) for step in part],
        "total": total,
        "page": page,
        "per_page": per_page,
    }


@routes.get("/plans/{plan_id}/steps/{step_id}", response_model=shapes.StepWhole)
def one_step(plan_id: PlanId, step_id: StepId, request: Request) -> Any:
    """One step with input, output, errors; what is secret is masked."""
    plan = plan_of(request, plan_id)
    step = request.state.world.persistence.load_step(plan.id, step_id)
    if step is None:
        raise Refused(404, f"The plan has no step {step_id}.")
    return whole_step_shape(step, plan)


def plan_of(request: Request, plan_id: str) -> ExecutionPlan:
    """The plan; PlanNotFound is 404."""
    found: ExecutionPlan = request.state.world.persistence.load_execution_plan(plan_id)
    return found


def _delay_of(request: Request, plan: ExecutionPlan) -> dict[str, Any] | None:
    if plan.state is not PlanState.SCHEDULED:
        return None
    try:
        delay = request.state.world.persistence.load_delayed_plan(plan.id)
    except (NotScheduled, PersistenceError):
        return None
    return {
        "start_at": delay.start_at,
        "start_before": delay.start_before,
        "frozen": delay.frozen,
        "prerequisites": delay.prerequisites,
    }
