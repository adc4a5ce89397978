"""The rival that stores nothing: ``concurrent.futures.ProcessPoolExecutor``, as it comes.

Each measurement is ``(database, size, workers) → value``, the database left alone; taken in a process of its own, in a pool that is warm.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from time import perf_counter

DEADLINE_S = 300.0


def submits_per_s(_database: str, size: int, workers: int) -> float:
    """``submit`` of ``size`` calls and all their results, calls a second."""
    return size / seconds("at_once", size, workers)


def ms_per_result(_database: str, size: int, workers: int) -> float:
    """Calls one after the other, each waiting for the last one's result, milliseconds each."""
    return 1000 * seconds("in_turn", size, workers) / size


def seconds(how: str, size: int, workers: int) -> float:
    command = [sys.executable, "-m", "bench.process_pool", how, str(size), str(workers)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, timeout=DEADLINE_S, check=True)
    return float(answer.stdout)


def at_once(size: int, workers: int) -> float:
    with warm_pool(workers) as pool:
        began = perf_counter()
        wait([pool.submit(nothing, number) for number in range(size)])
        return perf_counter() - began


def in_turn(size: int, workers: int) -> float:
    with warm_pool(workers) as pool:
        began = perf_counter()
        for number in range(size):
            pool.submit(nothing, number).result()
        return perf_counter() - began


def nothing(number: int) -> int:
    """What a step that does nothing is to a pool."""
    return number


@contextmanager
def warm_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers) as pool:
        wait([pool.submit(nothing, number) for number in range(100 * workers)])
        yield pool


if __name__ == "__main__":
    measure = {"at_once": at_once, "in_turn": in_turn}[sys.argv[1]]
    print(measure(int(sys.argv[2]), int(sys.argv[3])))
