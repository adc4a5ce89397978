"""A plan as programs are told it, as one text: for those who want to see everything, and for files that are sent to others."""

from __future__ import annotations

from dynflow_mp.console.views.data_text import data_text
from dynflow_mp.reading.concealment import shown_error_of
from dynflow_mp.reading.data_shape import Shape, action_data_shapes
from dynflow_mp.reading.error_shape import error_shape
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.plan_shape import plan_shape
from dynflow_mp.reading.step import Step
from dynflow_mp.reading.step_shape import step_shape

MOST_STEPS = 200


def plan_record(plan: ExecutionPlan, most_steps: int = MOST_STEPS) -> str:
    """A plan with so many of its steps, concealed where it must be."""
    record = plan_shape(plan)
    if not plan.valid:
        return data_text(record)
    steps = list(plan.steps.values())
    told = steps[:most_steps]
    if len(told) > MOST_STEPS:
        _ = plan.actions  # reads them all at once, not one after the other
    record["run_flow"], record["finalize_flow"] = str(plan.run_flow), str(plan.finalize_flow)
    record["steps"] = [_step(plan, step) for step in told]
    if len(told) < len(steps):
        record["steps that are left out"] = len(steps) - len(told)
    return data_text(record)


def _step(plan: ExecutionPlan, step: Step) -> Shape:
    given, made = action_data_shapes(plan, step.action_id)
    error = error_shape(shown_error_of(step, plan))
    return {**step_shape(step, error), "input": given, "output": made}
