"""What ``--json`` says of plans and worlds: the shapes that docs/cli.md describes. Nothing in them is secret.

Times are ISO 8601 in UTC, spans seconds, states and results their words. What JSON does not have is written as backups
write it: ``{"$datetime": "…"}``, ``{"$bytes": "…"}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.references import OutputReference
from dynflow_mp.persistence.backup import to_json
from dynflow_mp.reading.concealment import shown, shown_error

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.coordinator.records import Lock, WorldRecord
    from dynflow_mp.reading.execution_plan import ExecutionPlan, PastEvent
    from dynflow_mp.reading.recorded_error import RecordedError
    from dynflow_mp.reading.step import Step

Shape = dict[str, Any]


def time_shape(time: datetime | None) -> str | None:
    """As ISO 8601 in UTC."""
    return None if time is None else time.astimezone(UTC).isoformat()


def plan_shape(plan: ExecutionPlan, *, whole: bool = True) -> Shape:
    """A plan; ``whole``: with its steps, actions and history. One that cannot be read says why."""
    shape: Shape = {
        "id": plan.id,
        "label": plan.label,
        "state": str(plan.state),
        "result": str(plan.result),
        "valid": plan.valid,
        "problem": None if plan.exception is None else str(plan.exception),
        "started_at": time_shape(plan.started_at),
        "ended_at": time_shape(plan.ended_at),
        "deadline": time_shape(plan.deadline),
        "execution_time_s": plan.execution_time,
        "real_time_s": plan.real_time,
        "caller_execution_plan_id": plan.caller_execution_plan_id,
        "caller_action_id": plan.caller_action_id,
    }
    if not plan.valid:
        return (
            {**shape, "history": [past_shape(event) for event in plan.execution_history]} if whole else shape
        )
    shape["progress"] = plan.progress
    if whole:
        shape["sub_plans_count"] = plan.sub_plans_count
        shape["run_flow"] = str(plan.run_flow)
        shape["finalize_flow"] = str(plan.finalize_flow)
        shape["steps"] = [step_shape(step, plan) for step in plan.steps.values()]
        shape["actions"] = list(action_shapes(plan))
        shape["history"] = [past_shape(event) for event in plan.execution_history]
    return shape


def step_shape(step: Step, plan: ExecutionPlan) -> Shape:
    """One step of a plan; ``progress`` from 0 to 1."""
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
        "worker_pid": getattr(step, "worker_pid", None),
        "error": _step_error(step, plan),
    }


def action_shapes(plan: ExecutionPlan) -> Iterator[Shape]:
    """Its actions, without what their classes hide: that was stored with the plan."""
    names = {step.action_id: step.action_class_name for step in plan.steps.values()}
    actions = {action_id: plan.action(action_id) for action_id in _loaded(plan)}
    for action_id, action in actions.items():
        given, made = shown_values(action)
        yield {"id": action_id, "action_class": names.get(action_id), "input": given, "output": made}


def shown_values(action: Action) -> tuple[Any, Any]:
    """Input and output without what is secret; what cannot be read says why."""
    try:
        values = shown(action)
        return _plain(to_json(values.input)), _plain(to_json(values.output))
    except DynflowError as error:  # damaged data of one action
        problem = {"cannot be shown": str(error)}
        return problem, problem


def _plain(value: Any) -> Any:
    """References of a step that has not run yet, as ``{"$reference": "Step(3).output['x']"}``."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {"$reference": str(value)} if isinstance(value, OutputReference) else value


def error_of(step: Step, plan: ExecutionPlan) -> RecordedError | None:
    """Why a step failed last, without secrets of its action."""
    try:
        error = step.error
        return None if error is None else shown_error(error, step.action(plan))
    except DynflowError:
        return None


def _loaded(plan: ExecutionPlan) -> list[int]:
    _ = plan.actions  # all at once
    return sorted({step.action_id for step in plan.steps.values()})


def _step_error(step: Step, plan: ExecutionPlan) -> Shape | None:
    error = error_of(step, plan)
    return None if error is None else error_shape(error)


def error_shape(error: RecordedError) -> Shape:
    """An error; ``certificate`` tells of an end that did not come from the step's own code."""
    died = error.certificate
    return {
        "class": error.exception_class,
        "message": error.message,
        "cause": error.cause,
        "backtrace": list(error.backtrace),
        "certificate": None
        if died is None
        else {
            **died._asdict(),
            "began_at": time_shape(died.began_at),
            "died_at": time_shape(died.died_at),
            "stack": list(died.stack),
        },
    }


def past_shape(event: PastEvent) -> Shape:
    """One line of a plan's history; ``by`` is who did it, where somebody did."""
    return {
        "time": time_shape(event.time),
        "name": event.name,
        "world_id": event.world_id,
        "by": getattr(event, "by", None),
    }


def line_shape(line: Any) -> Shape:
    """A plan as lists have it (a ``PlanLine``)."""
    return {
        "id": line.id,
        "label": line.label,
        "action_class": line.action_class,
        "state": str(line.state),
        "result": str(line.result),
        "created_at": time_shape(line.created_at),
        "started_at": time_shape(line.started_at),
        "ended_at": time_shape(line.ended_at),
        "duration_s": line.duration_s,
        "progress": line.progress,
        "step_count": line.step_count,
        "owner_id": line.owner_id,
        "caller_execution_plan_id": line.caller_execution_plan_id,
        "valid": line.valid,
    }


def world_shape(world: WorldRecord, gone: bool) -> Shape:
    """A world as its record has it; ``gone``: its process is known to have ended."""
    meta = world.meta
    process = meta.get("process")
    process = process if isinstance(process, dict) else {}
    return {
        "id": world.id,
        "kind": "executor" if world.executor else "client",
        "state": world.state,
        "gone": gone,
        "degraded": world.degraded,
        "hostname": meta.get("hostname") or process.get("hostname"),
        "pid": meta.get("pid") or process.get("pid"),
        "endpoint": meta.get("endpoint"),
        "takes_work": bool(meta.get("takes_work")),
        "free": meta.get("free"),
        "lease": world.lease,
    }


def lock_shape(lock: Lock) -> Shape:
    """A lock and who holds it."""
    return {
        "class": lock.class_name,
        "id": lock.id,
        "owner_id": lock.owner_id,
        "epoch": lock.epoch,
        "plan_id": lock.data.get("plan_id"),
        "world_id": lock.data.get("world_id"),
    }
