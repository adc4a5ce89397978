"""Plans and their steps, read."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from dynflow_mp.actions.action import Action
from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.api import shapes
from dynflow_mp.console.api.query_parameters import PLAN_QUERY
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, PlanId, StepId
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import DamagedData, NotScheduled, PersistenceError, PlanNotFound
from dynflow_mp.model.states import Phase, PlanState, StepState
from dynflow_mp.reading.concealment import shown, shown_error, shown_text
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.reading.step import Step

routes = router("plans")


@routes.get("/plans", response_model=shapes.Lines, openapi_extra={"parameters": PLAN_QUERY})
def list_plans(request: Request) -> Any:
    """A page of a list of plans, with filters and an ordering as in the address of the plans page."""
    query = PlanQuery.from_params(request.query_params.multi_items())
    return lines_of(request.state.world.persistence.page_of_plans(query))


@routes.get("/plans/{plan_id}", response_model=shapes.PlanFacts)
def one_plan(plan_id: PlanId, request: Request) -> Any:
    """One plan, without its steps."""
    plan = plan_of(request, plan_id)
    pulse = request.state.world.persistence.pulses([plan.id]).get(plan.id)
    if pulse is None:
        raise refused_of(PlanNotFound(f"no plan {plan.id} is stored", plan.id))
    return {
        "id": plan.id,
        "label": plan.label,
        "state": str(plan.state),
        "result": str(plan.result),
        "valid": plan.valid,
        "problem": None if plan.exception is None else shown_text(str(plan.exception)),
        "started_at": plan.started_at,
        "ended_at": plan.ended_at,
        "deadline": plan.deadline,
        "execution_time": plan.execution_time,
        "real_time": plan.real_time,
        "progress": pulse.progress,
        "cancellable": plan.valid and plan.cancellable,
        "steps": dict(pulse.steps),
        "sub_plans_count": plan.sub_plans_count,
        "caller_execution_plan_id": plan.caller_execution_plan_id,
        "caller_action_id": plan.caller_action_id,
        "delay": _delay_of(request, plan),
        "history": [event._asdict() for event in plan.execution_history],
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
        "steps": [_step_facts(step) for step in part],
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
    action = _action_of(step, plan)
    seen = shown(action)
    return {
        "step": _step_facts(step),
        "input": plain(seen.input),
        "output": plain(seen.output),
        "error": _full_error(step.error, action),
        "failed_attempts": [
            {
                "number": attempt.number,
                "ended_at": attempt.ended_at,
                "execution_time": attempt.execution_time,
                "error": _full_error(attempt.error, action),
            }
            for attempt in step.failed_attempts
        ],
    }


def plan_of(request: Request, plan_id: str) -> ExecutionPlan:
    """The plan; PlanNotFound is 404."""
    found: ExecutionPlan = request.state.world.persistence.load_execution_plan(plan_id)
    return found


def lines_of(page: Any) -> dict[str, Any]:
    """A page of plans as it is answered."""
    return {
        "plans": [line._asdict() for line in page.plans],
        "total": page.total,
        "page": page.query.page,
        "per_page": page.query.per_page,
        "cut": page.cut,
    }


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


def _step_facts(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "phase": str(step.phase),
        "state": str(step.state),
        "action_id": step.action_id,
        "action_class": step.action_class_name,
        "queue": step.queue,
        "attempts": step.attempts,
        "retries": step.retries,
        "crashes": step.crashes,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "due_at": step.due_at,
        "execution_time": step.execution_time,
        "real_time": step.real_time,
        "progress": step.progress_done,
        "weight": step.progress_weight,
        "worker_pid": step.worker_pid,
        "error": _error_of(step),
    }


def _action_of(step: Step, plan: ExecutionPlan) -> Action:
    try:
        return step.action(plan)
    except LookupError:
        raise Refused(409, f"The action of step {step.id} is not stored.", kind="InvalidPlan") from None


def _error_of(step: Step) -> dict[str, Any] | None:
    """One that cannot be read hides no other step's."""
    try:
        error = step.error
    except DamagedData as damaged:
        return {"exception_class": "DamagedData", "message": str(damaged), "cause": None}
    return None if error is None else _short_error(shown_error(error))


def _short_error(error: RecordedError) -> dict[str, Any]:
    return {"exception_class": error.exception_class, "message": error.message, "cause": error.cause}


def _full_error(error: RecordedError | None, action: Any) -> dict[str, Any] | None:
    if error is None:
        return None
    told = shown_error(error, action)
    died = told.certificate
    return {
        **_short_error(told),
        "backtrace": list(told.backtrace),
        "certificate": None if died is None else plain(died._asdict()),
    }
