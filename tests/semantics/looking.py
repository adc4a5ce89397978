"""What tests look at: steps of a plan by their ids, and what of them was called when."""

from __future__ import annotations


def states(plan, step_ids):
    """The states of these steps."""
    return [plan.steps[step_id].state for step_id in step_ids]


def attempts(plan, step_ids):
    """How often each of these steps was begun."""
    return [plan.steps[step_id].attempts for step_id in step_ids]


def action_of(plan, step_id):
    """The action of a step."""
    return plan.action(plan.steps[step_id].action_id)


def history(plan):
    """The names in a plan's execution history."""
    return [entry.name for entry in plan.execution_history]


def locks(world):
    """How many plans are being executed."""
    return len(world.coordinator.find_locks(class_name="ExecutionLock"))
