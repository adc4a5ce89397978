"""What a workload is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dynflow_mp import ExecutionPlan, World

TIMEOUT_S = 600.0


class Workload(NamedTuple):
    """One thing to measure.

    ``client`` does it from a client world, given the size, and returns the ``value`` (in ``unit``) and whatever else is
    worth knowing; ``steps`` is how many steps it ran in all, when that is not the size. ``ceiling`` runs the bare loop on a fresh database for the same size; None: the value is a ratio by
    itself. ``rivals`` do the same with other tools.
    """

    name: str
    unit: str
    size: int
    client: Callable[[World, int], dict[str, Any]]
    ceiling: Callable[[str, int], float] | None
    rivals: Mapping[str, Callable[[int, int], float]]
    supervised: bool = True
    """Whether it needs a supervisor; planning does not."""


def run_to_end(world: World, action_class: type[Any], size: int) -> ExecutionPlan:
    """Plan ``action_class(size)``, execute it, and make sure that it succeeded."""
    plan = world.plan(action_class, size)
    return succeeded(world.execute(plan.id).result(TIMEOUT_S))


def succeeded(plan: ExecutionPlan) -> ExecutionPlan:
    if plan.state != "stopped" or plan.result != "success":
        raise RuntimeError(f"plan {plan.id} is {plan.state} with result {plan.result}: {plan.errors[:1]}")
    return plan


def execution_s(plan: ExecutionPlan) -> float:
    """The execution phase: from ``start execution`` in the history to the end of the plan."""
    began = next(entry.time for entry in plan.execution_history if entry.name == "start execution")
    assert plan.ended_at is not None
    seconds: float = (plan.ended_at - began).total_seconds()
    return seconds
