"""Resident memory: an idle supervisor, an idle worker, and what a queued step costs the supervisor.

The value is bytes per queued step: how much the supervisor grows by a plan of ``size`` steps that is loaded and waits while
every worker is held by a step of its own. ``rss_mb`` is the idle supervisor and the mean of its workers after they have run a plan of
``WARM_UP`` steps; ``fresh_supervisor_mb`` is before it ran anything. The plan is then run to its end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil

from bench.actions import FanOut, Waiting
from bench.product import MIB, resident_mb, workers_of
from bench.workloads.workload import (
    TIMEOUT_S,
    Workload,
    only_executor,
    run_to_end,
    succeeded,
    triggered,
    wait_until,
)
from dynflow_mp import World

WARM_UP = 1_000
STILL_S, STILL_BYTES = 1.0, 256 * 1024
"""Memory is at rest when it has changed by no more than this for this long."""


def client(world: World, size: int) -> dict[str, Any]:
    executor = executor_of(world)
    fresh = resident_mb(executor)
    run_to_end(world, FanOut, WARM_UP)
    idle = at_rest(executor)
    rss_mb = resident_mb(executor)
    loaded = with_queue(world, executor, size)
    return {
        "value": (loaded - idle) / size,
        "steps": WARM_UP + size,
        "rss_mb": rss_mb,
        "fresh_supervisor_mb": fresh["supervisor"],
        "loaded_supervisor_mb": round(loaded / MIB, 1),
    }


def with_queue(world: World, executor: psutil.Process, size: int) -> int:
    """The supervisor's memory while ``size`` steps wait behind workers that are held by a closed gate."""
    with tempfile.TemporaryDirectory() as directory:
        gate = Path(directory, "open")
        workers = len(workers_of(executor))
        try:
            plan = triggered(world, Waiting, size, workers, str(gate))
            wait_until(lambda: free_workers(world) == 0, "the workers being held")
            loaded = at_rest(executor)
        finally:
            gate.touch()
        succeeded(plan.finished.result(TIMEOUT_S))
        return loaded


def free_workers(world: World) -> int:
    """Workers of the executor that hold no step."""
    status = world.execution_status(only_executor(world).id).result(TIMEOUT_S)
    return sum(queue["free_workers"] for queue in status.values())


def executor_of(world: World) -> psutil.Process:
    return psutil.Process(only_executor(world).meta["pid"])


def at_rest(process: psutil.Process) -> int:
    """Resident bytes once they have stopped to change."""
    return settled(lambda: int(process.memory_info().rss))


def settled(value: Callable[[], int]) -> int:
    """The value once it has hardly changed for a while."""
    deadline = monotonic() + TIMEOUT_S
    last, since = value(), monotonic()
    while monotonic() - since < STILL_S:
        sleep(0.05)
        now = value()
        if abs(now - last) > STILL_BYTES:
            last, since = now, monotonic()
        if monotonic() > deadline:
            raise TimeoutError(f"memory was not at rest within {TIMEOUT_S:g} s")
    return last


memory = Workload("memory", "B/queued step", 100_000, 1_000, client)
