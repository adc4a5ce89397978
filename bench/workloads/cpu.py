"""Steps of a quarter of a second of pure Python: what share of the processors users get.

The value is (steps × time of one alone ÷ workers) ÷ time from ``execute`` to the future's result. "Alone" is measured in the same
run, right before and right after the plan: as many bare processes as there are workers run the same loop side by
side, so that shared caches, clocks and neighbours cost the ideal what they cost the plan.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from bench.actions import Spins
from bench.spin import seconds_each
from bench.workloads.workload import TIMEOUT_S, Workload, only_executor, succeeded
from dynflow_mp import World

STEP_S = 0.25
TRIAL_ROUNDS = 500_000
REPEATS = 4


def client(world: World, size: int) -> dict[str, Any]:
    workers = sum(only_executor(world).meta["queues"].values())
    rounds = int(TRIAL_ROUNDS * STEP_S / seconds_each(workers, TRIAL_ROUNDS, REPEATS))
    before_s = seconds_each(workers, rounds, REPEATS)
    plan = world.plan(Spins, size, rounds)
    began = perf_counter()
    succeeded(world.execute(plan.id).result(TIMEOUT_S))
    wall_s = perf_counter() - began
    alone_s = (before_s + seconds_each(workers, rounds, REPEATS)) / 2
    return {
        "value": size * alone_s / workers / wall_s,
        "alone_s": round(alone_s, 4),
        "wall_s": round(wall_s, 3),
    }


cpu = Workload("cpu", "of ideal", 16, 2, client, is_ratio=True)
