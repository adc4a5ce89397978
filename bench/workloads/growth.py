"""Whether a step of a large plan costs more than one of a small plan.

The value is the time per step of the execution phase in one plan of ``size`` steps over the same in
plans of a hundredth of it (the median of five, on the same supervisor): 1.0 is perfect.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.actions import FanOut
from bench.workloads.workload import Workload, execution_s, run_to_end
from dynflow_mp import World

SMALL_RUNS = 5


def client(world: World, size: int) -> dict[str, Any]:
    small = max(1, size // 100)
    us_small = median(us_per_step(world, small) for _ in range(SMALL_RUNS))
    us_large = us_per_step(world, size)
    return {
        "value": us_large / us_small,
        "steps": SMALL_RUNS * small + size,
        "us_small": round(us_small, 1),
        "us_large": round(us_large, 1),
    }


def us_per_step(world: World, size: int) -> float:
    return 1e6 * execution_s(run_to_end(world, FanOut, size)) / size


growth = Workload("growth", "× per step", 100_000, 1_000, client, is_ratio=True)
