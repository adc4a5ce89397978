"""One plan of concurrent steps that do nothing: how many durable steps a second.

The value is the execution phase, from ``start execution`` in the plan's history to its end;
``wall_s`` beside it is from ``execute`` to the future's result in the client.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench import ceiling, process_pool
from bench.actions import FanOut
from bench.rivals import tools
from bench.workloads.workload import TIMEOUT_S, Workload, execution_s, succeeded
from dynflow_mp import World


def client(world: World, size: int) -> dict[str, Any]:
    planned = world.plan(FanOut, size)
    began = perf_counter()
    plan = succeeded(world.execute(planned.id).result(TIMEOUT_S))
    wall_s = perf_counter() - began
    return {"value": size / execution_s(plan), "wall_s": round(wall_s, 3)}


def bare_loop(url: str, size: int) -> float:
    """The better of 64 and 256 steps in flight."""
    return max(ceiling.measure(url, "fan_out", size, in_flight).steps_per_s for in_flight in (64, 256))


fan_out = Workload(
    "fan_out",
    "steps/s",
    10_000,
    100,
    client,
    bare_loop,
    {"process_pool": process_pool.submits_per_s, **tools("fan_out")},
)
