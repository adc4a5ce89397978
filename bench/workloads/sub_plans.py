"""One parent that triggers children of one step each, in batches, and waits for them.

The value is children a second, from the parent's ``trigger`` until its future has the plan. What the supervisor
has resident afterwards says whether its memory grew with the number of children.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench.actions import Nothing, Offspring
from bench.workloads.workload import TIMEOUT_S, Workload, run_to_end, succeeded, triggered
from dynflow_mp import World


def client(world: World, size: int) -> dict[str, Any]:
    run_to_end(world, Nothing)
    began = perf_counter()
    plan = succeeded(triggered(world, Offspring, size).finished.result(TIMEOUT_S))
    passed_s = perf_counter() - began
    made = plan.entry_action.output["success_count"]
    if made != size:
        raise RuntimeError(f"plan {plan.id} had {made} children instead of {size}")
    return {"value": size / passed_s, "wall_s": round(passed_s, 3), "calls": plan.run_steps[0].attempts}


sub_plans = Workload("sub_plans", "children/s", 10_000, 20, client)
