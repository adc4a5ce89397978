"""One plan of concurrent steps with 100 kB in and 100 kB out each.

The value is what steps were given and gave back, (100,000 + 100,000 bytes) × steps, over the execution phase: inputs
are read from the database and sent to workers, outputs come back and are stored. Storing the inputs is planning; with it,
from ``plan`` to the future's result, it is ``whole_mb_s``. Data are random bytes: nothing could shrink them.
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

from bench import ceiling
from bench.actions import Payload
from bench.workloads.workload import Workload, execution_s, run_to_end
from dynflow_mp import World

BYTES = 100_000
IN_FLIGHT = 64


def client(world: World, size: int) -> dict[str, Any]:
    block = os.urandom(BYTES)
    began = perf_counter()
    plan = run_to_end(world, Payload, size, block)
    wall_s = perf_counter() - began
    moved_mb = 2 * BYTES * size / 1e6
    return {"value": moved_mb / execution_s(plan), "whole_mb_s": round(moved_mb / wall_s, 1)}


def bare_loop(url: str, size: int) -> float:
    """The same bytes through the bare loop."""
    measured = ceiling.measure(url, "fan_out", size, IN_FLIGHT, payload=BYTES)
    return 2 * BYTES * size / 1e6 / measured.seconds


payload = Workload("payload", "MB/s", 200, 10, client, bare_loop)
