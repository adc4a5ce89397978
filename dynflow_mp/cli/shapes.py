"""What ``--json`` says of plans and worlds: the shapes that docs/cli.md describes. Nothing in them is secret.

What a plan, a step, an error are is told as the console's API tells it: :mod:`dynflow_mp.reading.plan_shape` and its like.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dynflow_mp.reading.concealment import shown_error_of
from dynflow_mp.reading.data_shape import Shape, action_data_shapes
from dynflow_mp.reading.error_shape import error_shape
from dynflow_mp.reading.plan_shape import plan_shape
from dynflow_mp.reading.step_shape import step_shape

if TYPE_CHECKING:
    from dynflow_mp.coordinator.records import WorldRecord
    from dynflow_mp.reading.execution_plan import ExecutionPlan


def whole_plan_shape(plan: ExecutionPlan) -> Shape:
    """A plan with its steps, actions and history; of one that cannot be read only what its own row tells."""
    shape = plan_shape(plan)
    if not plan.valid:
        return shape
    _ = plan.actions  # reads them all at once, not one after the other
    return {
        **shape,
        "progress": plan.progress,
        "sub_plans_count": plan.sub_plans_count,
        "run_flow": str(plan.run_flow),
        "finalize_flow": str(plan.finalize_flow),
        "steps": [step_shape(step, error_shape(shown_error_of(step, plan))) for step in plan.steps.values()],
        "actions": list(_action_shapes(plan)),
    }


def _action_shapes(plan: ExecutionPlan) -> Iterator[Shape]:
    names = {step.action_id: step.action_class_name for step in plan.steps.values()}
    for action_id in sorted(names):
        given, made = action_data_shapes(plan, action_id)
        yield {"id": action_id, "action_class": names[action_id], "input": given, "output": made}


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
