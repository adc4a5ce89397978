"""What goes with a failed step when it is skipped: all that need its output, and their finalize steps.

Only data decides (dynflow-core.md §11.3): what merely stands behind the step in a sequence runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from dynflow_mp.model.flows import step_ids
from dynflow_mp.model.plans import PlanSkeleton


def skipped_with(skeleton: PlanSkeleton, failed: Collection[int]) -> list[int]:
    """The ids of these steps and of all steps that are skipped with them, whatever their states, in order.

    A finalize step is skipped alone. A run step is skipped with the run and finalize steps of every action that
    needs its output, directly or not, and with the finalize step of its own action.
    """
    steps, finalize_steps = skeleton.steps, skeleton.finalize_step_ids
    failed_runs = set(failed).difference(finalize_steps)
    actions = _with_consumers(skeleton.dependencies, {steps.action_id(step_id) for step_id in failed_runs})
    found = set(failed)
    if actions:
        found.update(step for step in step_ids(skeleton.run_flow) if steps.action_id(step) in actions)
        found.update(step for step in finalize_steps if steps.action_id(step) in actions)
    return sorted(found)


def _with_consumers(dependencies: Mapping[int, tuple[int, ...]], actions: set[int]) -> set[int]:
    """These actions and all that need their outputs, directly or not."""
    consumers: dict[int, list[int]] = {}
    for consumer, producers in dependencies.items():
        for producer in producers:
            consumers.setdefault(producer, []).append(consumer)
    found, todo = set(actions), deque(actions)
    while todo:
        for consumer in consumers.get(todo.popleft(), ()):
            if consumer not in found:
                found.add(consumer)
                todo.append(consumer)
    return found
