"""Runs with something and without it, in turns: whatever the machine does meanwhile meets both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, TypeVar

from bench import databases
from bench.workloads import WORKLOADS

R = TypeVar("R")


def paired(once: Callable[[bool], R], runs: int) -> list[tuple[R, R]]:
    """What ``once`` returns with it (``True``) and without (``False``), ``runs`` times.

    The order within a pair changes each time. One pair more, before them, warms up.
    """
    pairs: list[tuple[R, R]] = []
    for number in range(runs + 1):
        order = (True, False) if number % 2 else (False, True)
        results = {with_it: once(with_it) for with_it in order}
        pairs.append((results[True], results[False]))
    return pairs[1:]


def compared(
    workload: str, size: int, database: str, names: tuple[str, str], pairs: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """The medians of both sides under their ``names``, and the ratio of the first to the second, pair by pair."""
    ratios = [first / second for first, second in pairs]
    medians = [round(median(side), 4) for side in zip(*pairs, strict=True)]
    return {
        "workload": workload,
        "database": databases.kind(database),
        "n": size,
        "unit": WORKLOADS[workload].unit,
        **dict(zip(names, medians, strict=True)),
        "ratio": round(median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
    }
