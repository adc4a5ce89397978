"""Runs a workload several times, each time seconds after its ceiling and its rivals."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from bench import ceiling, databases
from bench.product import Supervisor, run_client
from bench.site import Site
from bench.spread import Spread, spread
from bench.workloads.workload import Workload

CLIENT_S = 900.0
WARM_UP = 1_000
"""Largest size of the run that does not count."""
BESIDES = ("client_counts", "steps")
"""What a client says that is no result."""


class Settings(NamedTuple):
    """How to run."""

    site: Site
    database: str
    workers: int
    runs: int
    warm_up: bool
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
    ratio: float | None
    rivals: dict[str, float]
    rss_mb: dict[str, float]
    detail: dict[str, float]


class Run(NamedTuple):
    """One run and what was measured seconds before it."""

    value: float
    ceiling: float | None
    rivals: dict[str, float]
    rss_mb: dict[str, float]
    detail: dict[str, float]


def measure(workload: Workload, size: int, settings: Settings) -> Result:
    """A warm-up, then ``runs`` runs; medians, and the median of the runs' own ratios."""
    if settings.warm_up:
        settings.say(f"{workload.name}: warm-up")
        product_run(workload, min(size, WARM_UP), settings)
    runs = []
    for number in range(1, settings.runs + 1):
        settings.say(f"{workload.name}: run {number} of {settings.runs}")
        runs.append(paired_run(workload, size, settings))
    return summary(workload, size, databases.kind(settings.database), runs)


def paired_run(workload: Workload, size: int, settings: Settings) -> Run:
    """The ceiling and the rivals, then at once the product."""
    reached = None
    if workload.ceiling is not None:
        with databases.fresh(settings.database, settings.site) as url:
            reached = workload.ceiling(url, size)
    rivals = {name: rival_run(workload, name, size, settings) for name in rivals_of(workload, settings)}
    measured, rss_mb = product_run(workload, size, settings)
    for besides in BESIDES:
        measured.pop(besides, None)
    return Run(measured.pop("value"), reached, rivals, rss_mb, measured)


def rivals_of(workload: Workload, settings: Settings) -> list[str]:
    return [name for name in workload.rivals if name in settings.against]


def rival_run(workload: Workload, name: str, size: int, settings: Settings) -> float:
    with databases.fresh(settings.database, settings.site) as url:
        return workload.rivals[name](url, size, settings.workers)


def product_run(workload: Workload, size: int, settings: Settings) -> tuple[dict[str, Any], dict[str, float]]:
    """One run on a fresh database: what the client measured, and the processes' resident memory after it."""
    with databases.fresh(settings.database, settings.site) as url:
        if workload.alone is not None:
            return workload.alone(url, size, settings.workers), {}
        if not workload.supervised:
            return run_client(workload.name, url, size, False, CLIENT_S), {}
        with Supervisor(url, settings.workers) as supervisor:
            measured = run_client(workload.name, url, size, False, CLIENT_S)
            rss_mb: dict[str, float] = measured.pop("rss_mb", None) or supervisor.rss_mb()
            return measured, rss_mb


def summary(workload: Workload, size: int, kind: str, runs: list[Run]) -> Result:
    """Medians; a ratio is the median of the runs' own, since only what ran seconds apart can be compared."""
    value = spread([run.value for run in runs])
    ceilings = [run.ceiling for run in runs if run.ceiling is not None]
    ratios = [run.value / run.ceiling for run in runs if run.ceiling is not None]
    over = {
        f"over_{name}": round(median(run.value / run.rivals[name] for run in runs), 4)
        for name in runs[0].rivals
    }
    return Result(
        workload.name,
        kind,
        size,
        value,
        workload.unit,
        median(ceilings) if ceilings else None,
        median(ratios) if ratios else value.median if workload.is_ratio else None,
        medians([run.rivals for run in runs]),
        medians([run.rss_mb for run in runs]),
        {**over, **medians([run.detail for run in runs])},
    )


def medians(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(run[name] for run in measured), 4) for name in measured[0]}


# -- the ceiling alone ---------------------------------------------------------------------------


def bare_loops(settings: Settings) -> list[Result]:
    """The ceiling alone, in all its forms."""
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
        with databases.fresh(settings.database, settings.site) as url:
            values.append(once(url))
    value = spread(values[1:])
    kind = databases.kind(settings.database)
    return Result(name, kind, n, value, unit, value.median, 1.0, {}, {}, {})


loop = ceiling.measure
