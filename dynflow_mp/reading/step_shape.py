"""A step as programs are told it, by the command line and by the console's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynflow_mp.reading.concealment import shown_attempts, shown_error_of
from dynflow_mp.reading.data_shape import Shape, action_data_shapes, time_shape
from dynflow_mp.reading.error_shape import error_shape

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.step import FailedAttempt, Step


def step_shape(step: Step, error: Shape | None) -> Shape:
    """One step among others, with its ``error`` as much as is wanted; ``progress`` from 0 to 1, spans in seconds."""
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
        "due_at": time_shape(step.due_at),
        "started_at": time_shape(step.started_at),
        "ended_at": time_shape(step.ended_at),
        "execution_time_s": step.execution_time,
        "real_time_s": step.real_time,
        "progress": step.progress_done,
        "weight": step.progress_weight,
        "worker_pid": step.worker_pid,
        "error": error,
    }


def whole_step_shape(step: Step, plan: ExecutionPlan) -> Shape:
    """One step alone: with input and output of its action, and every attempt that failed; nothing in it is secret."""
    given, made = action_data_shapes(plan, step.action_id)
    return {
        **step_shape(step, error_shape(shown_error_of(step, plan))),
        "plan_id": plan.id,
        "input": given,
        "output": made,
        "failed_attempts": [_attempt_shape(attempt) for attempt in shown_attempts(step, plan)],
    }


def _attempt_shape(attempt: FailedAttempt) -> Shape:
    return {
        "number": attempt.number,
        "ended_at": time_shape(attempt.ended_at),
        "execution_time_s": attempt.execution_time,
        "error": error_shape(attempt.error),
    }
