"""What a workload is, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any, NamedTuple

from dynflow_mp import ExecutionPlan, PlanningFailed, Scheduled, Triggered, World

TIMEOUT_S = 600.0
LOOK_S = 0.02

Rival = Callable[[str, int, int], float]
"""``(database URL, size, workers) → value``: the same with another tool, on a fresh database of its own."""


class Workload(NamedTuple):
    """One thing to measure.

    ``client`` does it from a client world, given the size, and returns the ``value`` (in ``unit``) and whatever else is
    worth knowing; ``steps`` is how many steps it ran in all, when that is not the size, and ``rss_mb`` replaces the
    memory looked at after it. ``ceiling`` runs the bare loop on a fresh database for the same size. ``rivals`` do the same with other tools.
    """

    name: str
    unit: str
    size: int
    small: int
    """A size that only shows that it works."""
    client: Callable[[World, int], dict[str, Any]] | None
    ceiling: Callable[[str, int], float] | None = None
    rivals: Mapping[str, Rival] = {}
    supervised: bool = True
    """Whether it needs a supervisor; planning does not."""
    alone: Callable[[str, int, int], dict[str, Any]] | None = None
    """``(database URL, size, workers)``: runs it in place of the client, when the process itself is measured."""
    is_ratio: bool = False
    """Whether the value is a ratio by itself."""


def run_to_end(world: World, action_class: type[Any], *args: Any) -> ExecutionPlan:
    """Plan ``action_class`` with ``args``, execute it, and make sure that it succeeded."""
    plan = world.plan(action_class, *args)
    return succeeded(world.execute(plan.id).result(TIMEOUT_S))


def triggered(world: World, action_class: type[Any], *args: Any) -> Triggered:
    """Trigger ``action_class`` with ``args`` and make sure that it was planned."""
    answer: Triggered | PlanningFailed | Scheduled = world.trigger(action_class, *args)
    if not isinstance(answer, Triggered):
        raise RuntimeError(f"{action_class.__name__} was not triggered: {answer}")
    return answer


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


def only_executor(world: World) -> Any:
    """The record of the one executor there is."""
    (record,) = [record for record in world.coordinator.find_worlds() if record.executor]
    return record


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Look until the condition holds; a deadline that passes is an error that names what did not come."""
    deadline = monotonic() + timeout_s
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
        sleep(LOOK_S)
