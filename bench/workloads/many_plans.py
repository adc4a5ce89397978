"""Plans of three sequential steps, all triggered by one client process at once.

The value is plans a second, from the first ``trigger`` until the last future has its plan. The rivals are
given the same: workflows of three steps, each step taking the last one's output.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench.actions import Chain
from bench.rivals import tools
from bench.workloads.workload import TIMEOUT_S, Workload, succeeded, triggered
from dynflow_mp import World

STEPS = 3
FIRST = 10
"""Plans before the first that counts: connections are made and modules loaded on first use."""


def client(world: World, size: int) -> dict[str, Any]:
    run_plans(world, FIRST)
    began = perf_counter()
    asked_s = run_plans(world, size)
    passed_s = perf_counter() - began
    return {
        "value": size / passed_s,
        "steps": STEPS * (FIRST + size),
        "trigger_s": round(asked_s, 3),
        "wall_s": round(passed_s, 3),
    }


def run_plans(world: World, size: int) -> float:
    """Trigger that many plans, then wait for all of them; how long triggering took."""
    began = perf_counter()
    futures = [triggered(world, Chain, STEPS).finished for _ in range(size)]
    asked_s = perf_counter() - began
    for future in futures:
        succeeded(future.result(TIMEOUT_S))
    return asked_s


many_plans = Workload("many_plans", "plans/s", 500, 20, client, rivals=tools("many_plans"))
