"""A plan as it was read, as one text: for those who want to see everything, and for files that are sent to others."""

from __future__ import annotations

from typing import Any

from dynflow_mp.console.views.data_text import data_text, plain
from dynflow_mp.console.views.step_details import error_trace
from dynflow_mp.console.wording import iso_text
from dynflow_mp.reading.concealment import shown, shown_error

MOST_STEPS = 200


def plan_record(plan: Any, most_steps: int = MOST_STEPS) -> str:
    """A plan with so many of its steps, concealed where it must be."""
    record: dict[str, Any] = {
        "id": plan.id,
        "label": plan.label,
        "state": str(plan.state),
        "result": str(plan.result),
        "started_at": iso_text(plan.started_at),
        "ended_at": iso_text(plan.ended_at),
        "execution_time_s": plan.execution_time,
        "real_time_s": plan.real_time,
        "deadline": iso_text(plan.deadline),
        "caller_execution_plan_id": plan.caller_execution_plan_id,
        "caller_action_id": plan.caller_action_id,
        "history": [str(event) for event in plan.execution_history],
    }
    if not plan.valid:
        return data_text({**record, "cannot be read": str(plan.exception)})
    steps = list(plan.steps.values())
    told = steps[:most_steps]
    if len(told) > MOST_STEPS:
        len(plan.actions)  # reads them all at once, not one after the other
    record["run_flow"], record["finalize_flow"] = str(plan.run_flow), str(plan.finalize_flow)
    record["steps"] = [_step(plan, step) for step in told]
    if len(told) < len(steps):
        record["steps that are left out"] = len(steps) - len(told)
    return data_text(record)


def _step(plan: Any, step: Any) -> dict[str, Any]:
    action = plan.action(step.action_id)
    data = shown(action)
    error = None if step.error is None else shown_error(step.error, action)
    return {
        "id": step.id,
        "phase": str(step.phase),
        "state": str(step.state),
        "action_id": step.action_id,
        "action_class": step.action_class_name,
        "queue": step.queue,
        "attempts": step.attempts,
        "started_at": iso_text(step.started_at),
        "ended_at": iso_text(step.ended_at),
        "execution_time_s": step.execution_time,
        "real_time_s": step.real_time,
        "progress": step.progress_done,
        "worker_pid": step.worker_pid,
        "input": plain(data.input),
        "output": plain(data.output),
        "error": None
        if error is None
        else {
            "class": error.exception_class,
            "message": error.message,
            "cause": error.cause,
            "backtrace": error_trace(error),
        },
    }
