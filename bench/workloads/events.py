"""Suspended steps of one plan, each woken by an event from a client.

The value is events a second, from the first ``event`` until every future is true and the plan has its result. That all
steps sleep is waited for and not counted.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench.actions import Sleepers
from bench.workloads.workload import TIMEOUT_S, Workload, succeeded, triggered, wait_until
from dynflow_mp import World


def client(world: World, size: int) -> dict[str, Any]:
    plan = triggered(world, Sleepers, size)
    wait_until(lambda: len(sleeping(world, plan.id)) == size, f"the suspension of {size} steps")
    steps = sleeping(world, plan.id)
    began = perf_counter()
    taken = [world.event(plan.id, step, "wake") for step in steps]
    asked_s = perf_counter() - began
    if not all(future.result(TIMEOUT_S) for future in taken):
        raise RuntimeError(f"plan {plan.id} did not take all of its {size} events")
    succeeded(plan.finished.result(TIMEOUT_S))
    return {"value": size / (perf_counter() - began), "event_s": round(asked_s, 3)}


def sleeping(world: World, plan_id: str) -> list[int]:
    """The ids of the plan's suspended steps, as they are stored."""
    plan = world.persistence.load_execution_plan(plan_id)
    return [step.id for step in plan.steps.values() if step.state == "suspended"]


events = Workload("events", "events/s", 1_000, 20, client)
