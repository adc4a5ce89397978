"""Suspended steps of one plan that wait for an hour: what they cost the supervisor while nothing happens.

The value is the supervisor's processor time per second, in percent, over ``WATCH_S`` seconds at rest. That every step has a timer of its own is
part of it; ``slots_held`` is how many workers are not free, ``b_per_step`` what a waiting step costs in memory.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import psutil

from bench.actions import Nothing, Patient
from bench.workloads.memory import at_rest, executor_of
from bench.workloads.workload import (
    TIMEOUT_S,
    Workload,
    only_executor,
    run_to_end,
    triggered,
    wait_until,
)
from dynflow_mp import World

WATCH_S = 10.0
SMALL_WATCH_S = 1.0


def client(world: World, size: int) -> dict[str, Any]:
    executor = executor_of(world)
    run_to_end(world, Nothing)
    idle = at_rest(executor)
    plan = triggered(world, Patient, size)
    wait_until(lambda: how_many_wait(world, plan.id) == size, f"the suspension of {size} steps")
    waiting = at_rest(executor)
    percent = busy_percent(executor, WATCH_S if size >= suspended.size else SMALL_WATCH_S)
    held = slots_held(world)
    halted = world.halt(plan.id).result(TIMEOUT_S)
    if halted.state != "stopped":
        raise RuntimeError(f"plan {plan.id} is {halted.state} after it was halted")
    return {"value": percent, "slots_held": held, "b_per_step": round((waiting - idle) / size)}


def how_many_wait(world: World, plan_id: str) -> int:
    """How many of the plan's steps are stored as suspended."""
    counts = world.persistence.step_counts(plan_id)
    return sum(count.number for count in counts if count.state == "suspended")


def busy_percent(process: psutil.Process, seconds: float) -> float:
    """Its processor time over ``seconds`` of doing nothing, in percent of one processor."""
    began, before = monotonic(), process.cpu_times()
    sleep(seconds)
    after, took_s = process.cpu_times(), monotonic() - began
    spent_s = after.user + after.system - before.user - before.system
    return max(0.0, 100 * spent_s / took_s)


def slots_held(world: World) -> int:
    """Workers that are not free for other steps."""
    status = world.execution_status(only_executor(world).id).result(TIMEOUT_S)
    return sum(queue["pool_size"] - queue["free_workers"] for queue in status.values())


suspended = Workload("suspended", "% CPU at rest", 10_000, 50, client)
