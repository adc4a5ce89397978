"""How long a program with an embedded world takes from process start to its first result.

The database is a fresh file, the world has two workers; its end is not counted. The ceiling is the bare loop's way to its first
answer: an interpreter, SQLAlchemy, a new table, two worker processes, one step.
"""

from __future__ import annotations

import subprocess
import sys
from select import select
from time import perf_counter
from typing import Any

from bench.workloads.workload import Workload

DEADLINE_S = 60.0


def alone(url: str, _size: int, workers: int) -> dict[str, Any]:
    return {"value": until_done_s("bench.first_result", url, str(workers))}


def bare_loop(url: str, _size: int) -> float:
    return until_done_s("bench.first_answer", url)


def until_done_s(program: str, *arguments: str) -> float:
    """Seconds from starting a program until it says ``done``; its end is waited for, not counted."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", program, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline() if select([process.stdout], [], [], DEADLINE_S)[0] else ""
        passed_s = perf_counter() - began
        if said != "done\n":
            raise RuntimeError(f"{program} came to no result within {DEADLINE_S:g} s: it said {said!r}")
        process.communicate(timeout=DEADLINE_S)
        return passed_s
    finally:
        process.kill()
        process.wait()


start = Workload("start", "s", 1, 1, None, bare_loop, supervised=False, alone=alone)
