"""One-step plans, one after the other, from ``trigger`` in a client process to the future's result.

The value is the median. Its ceiling is the bare loop's time for one step of a chain: one commit and
one way to a worker and back, where a plan is stored, claimed, run and answered for.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench import ceiling, process_pool
from bench.actions import Nothing
from bench.spread import percentile
from bench.workloads.workload import TIMEOUT_S, Workload, succeeded, triggered
from dynflow_mp import World

FIRST = 10
"""Plans before the first that counts: connections are made and modules loaded on first use."""


def client(world: World, size: int) -> dict[str, Any]:
    for _ in range(FIRST):
        one_plan_ms(world)
    times_ms = [one_plan_ms(world) for _ in range(size)]
    middle, late = percentile(times_ms, 50), percentile(times_ms, 99)
    return {
        "value": middle,
        "steps": FIRST + size,
        "p99_ms": round(late, 3),
        "p99_over_p50": round(late / middle, 2),
    }


def one_plan_ms(world: World) -> float:
    began = perf_counter()
    plan = triggered(world, Nothing).finished.result(TIMEOUT_S)
    passed_ms = 1000 * (perf_counter() - began)
    succeeded(plan)
    return passed_ms


def bare_loop(url: str, size: int) -> float:
    return ceiling.measure(url, "chain", size).ms_per_step


latency = Workload(
    "latency", "ms p50", 200, 10, client, bare_loop, {"process_pool": process_pool.ms_per_result}
)
