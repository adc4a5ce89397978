"""Planning and storing one plan of concurrent steps, in the client's process.

Counted are the run steps; the plan also has a plan step and an action for each of them. The ceiling
is one row per step, inserted in one transaction.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench import ceiling
from bench.actions import FanOut
from bench.workloads.workload import Workload
from dynflow_mp import World


def client(world: World, size: int) -> dict[str, Any]:
    began = perf_counter()
    plan = world.plan(FanOut, size)
    seconds = perf_counter() - began
    if plan.state != "planned":
        raise RuntimeError(f"plan {plan.id} is {plan.state}: {plan.errors[:1]}")
    return {"value": size / seconds}


def bare_inserts(url: str, size: int) -> float:
    return ceiling.measure(url, "fan_out", size, 256).rows_per_s


plan_build = Workload("plan_build", "steps/s", 10_000, 100, client, bare_inserts, supervised=False)
