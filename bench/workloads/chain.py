"""One plan of sequential steps, each taking the last one's output: the time of one durable step.

The value is the execution phase divided by the number of steps.
"""

from __future__ import annotations

from typing import Any

from bench import ceiling, process_pool
from bench.actions import Chain
from bench.rivals import tools
from bench.workloads.workload import Workload, execution_s, run_to_end
from dynflow_mp import World


def client(world: World, size: int) -> dict[str, Any]:
    plan = run_to_end(world, Chain, size)
    last = max(plan.steps.values(), key=lambda step: step.id)
    reached = plan.action(last.action_id).output["n"]
    if reached != size:
        raise RuntimeError(f"the chain of {size} counted to {reached}")
    return {"value": 1000 * execution_s(plan) / size}


def bare_loop(url: str, size: int) -> float:
    return ceiling.measure(url, "chain", size).ms_per_step


chain = Workload(
    "chain",
    "ms/step",
    500,
    20,
    client,
    bare_loop,
    {"process_pool": process_pool.ms_per_result, **tools("chain")},
)
