"""Runs a workload several times, each time seconds after its ceiling and its rivals."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from bench import ceiling, databases
from bench.counting import difference
from bench.product import Supervisor, run_client
from bench.spread import Spread, spread
from bench.workloads.workload import Workload

CLIENT_S = 900.0
WARM_UP = 1_000
"""Largest size of the run that does not count."""


class Settings(NamedTuple):
    """How to run."""

    database: str
    workers: int
    runs: int
    against: tuple[str, ...]
    say: Callable[[str], None]


class Result(NamedTuple):
    """What the runs of one workload came to."""

    workload: str
    database: str
    n: int
    value: Spread
    unit: str
    ceiling: float | None
    ratio: float
    rivals: dict[str, float]
    rss_mb: dict[str, float]
    detail: dict[str, Any]


class Run(NamedTuple):
    """One run and what was measured seconds before it."""

    value: float
    ceiling: float | None
    rivals: dict[str, float]
    rss_mb: dict[str, float]
    detail: dict[str, Any]


def measure(workload: Workload, size: int, settings: Settings) -> Result:
    """A warm-up, then ``runs`` runs; medians, and the median of the runs' own ratios."""
    settings.say(f"{workload.name}: warm-up")
    product_run(workload, min(size, WARM_UP), settings)
    runs = []
    for number in range(1, settings.runs + 1):
        settings.say(f"{workload.name}: run {number} of {settings.runs}")
        runs.append(paired_run(workload, size, settings))
    return summary(workload, size, settings, runs)


def paired_run(workload: Workload, size: int, settings: Settings) -> Run:
    """The ceiling and the rivals, then at once the product."""
    reached = None
    if workload.ceiling is not None:
        with databases.fresh(settings.database) as url:
            reached = workload.ceiling(url, size)
    rivals = {
        name: rival(size, settings.workers)
        for name, rival in workload.rivals.items()
        if name in settings.against
    }
    measured, rss_mb = product_run(workload, size, settings)
    for ours in ("client_counts", "steps"):
        measured.pop(ours, None)
    return Run(measured.pop("value"), reached, rivals, rss_mb, measured)


def product_run(workload: Workload, size: int, settings: Settings) -> tuple[dict[str, Any], dict[str, float]]:
    """One run on a fresh database: what the client measured, and the processes' resident memory after it."""
    with databases.fresh(settings.database) as url:
        if not workload.supervised:
            return run_client(workload.name, url, size, False, CLIENT_S), {}
        with Supervisor(url, settings.workers) as supervisor:
            measured = run_client(workload.name, url, size, False, CLIENT_S)
            return measured, supervisor.rss_mb()


def summary(workload: Workload, size: int, settings: Settings, runs: list[Run]) -> Result:
    value = spread([run.value for run in runs])
    ceilings = [run.ceiling for run in runs if run.ceiling is not None]
    ratios = [run.value / run.ceiling for run in runs if run.ceiling is not None]
    return Result(
        workload.name,
        databases.kind(settings.database),
        size,
        value,
        workload.unit,
        median(ceilings) if ceilings else None,
        median(ratios) if ratios else value.median,
        medians([run.rivals for run in runs]),
        medians([run.rss_mb for run in runs]),
        medians([run.detail for run in runs]),
    )


def medians(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(run[name] for run in measured) for name in measured[0]}


def bare_loops(settings: Settings) -> list[Result]:
    """The ceiling alone, in all its forms, and what a pool that stores nothing does."""
    forms: list[tuple[str, int, str, Callable[[str], float]]] = [
        ("ceiling/fan_out/64", 10_000, "steps/s", lambda url: loop(url, "fan_out", 10_000, 64).steps_per_s),
        ("ceiling/fan_out/256", 10_000, "steps/s", lambda url: loop(url, "fan_out", 10_000, 256).steps_per_s),
        ("ceiling/chain", 500, "ms/step", lambda url: loop(url, "chain", 500).ms_per_step),
    ]
    return [bare_loop(name, n, unit, once, settings) for name, n, unit, once in forms]


def bare_loop(name: str, n: int, unit: str, once: Callable[[str], float], settings: Settings) -> Result:
    values = []
    for number in range(settings.runs + 1):
        settings.say(f"{name}: {f'run {number} of {settings.runs}' if number else 'warm-up'}")
        with databases.fresh(settings.database) as url:
            values.append(once(url))
    value = spread(values[1:])
    kind = databases.kind(settings.database)
    return Result(name, kind, n, value, unit, value.median, 1.0, {}, {}, {})


loop = ceiling.measure


# -- counting ------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """What one workload asks of its database, per step."""

    workload: str
    database: str
    n: int
    process: str
    per_step: dict[str, float]


def count(workload: Workload, size: int, settings: Settings) -> list[Counted]:
    """One run with the database traffic of supervisor and client counted."""
    settings.say(f"{workload.name}: counting")
    with databases.fresh(settings.database) as url:
        if not workload.supervised:
            measured = run_client(workload.name, url, size, True, CLIENT_S)
            asked = {"client": measured["client_counts"]}
        else:
            with Supervisor(url, settings.workers, count=True) as supervisor:
                before = supervisor.counts()
                measured = run_client(workload.name, url, size, True, CLIENT_S)
                executor = difference(before, supervisor.counts())
                asked = {"client": measured["client_counts"], "supervisor": executor}
    kind, steps = databases.kind(settings.database), measured.get("steps", size)
    return [
        Counted(workload.name, kind, steps, process, {name: total / steps for name, total in totals.items()})
        for process, totals in asked.items()
    ]
