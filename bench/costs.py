"""What a workload asks of its database, counted in every process that takes part."""

from __future__ import annotations

from typing import Any, NamedTuple

from bench import databases
from bench.counting import difference
from bench.product import Supervisor, run_client
from bench.runner import CLIENT_S, Settings
from bench.server_log import log_bytes
from bench.workloads.workload import Workload


class Counted(NamedTuple):
    """What one process asks for, per step."""

    workload: str
    database: str
    n: int
    process: str
    per_step: dict[str, float]


def count(workload: Workload, size: int, settings: Settings) -> list[Counted]:
    """One run with the database traffic of supervisor and client counted, and the server's log where there is one."""
    settings.say(f"{workload.name}: counting")
    with databases.fresh(settings.database, settings.site) as url:
        if not workload.supervised:
            measured = run_client(workload.name, url, size, True, CLIENT_S)
            asked = {"client": measured["client_counts"]}
        else:
            measured, asked = supervised(workload, url, size, settings)
    kind, steps = databases.kind(settings.database), measured.get("steps", size)
    asked["together"] = together(asked)
    return [
        Counted(workload.name, kind, steps, process, {name: total / steps for name, total in totals.items()})
        for process, totals in asked.items()
    ]


def supervised(
    workload: Workload, url: str, size: int, settings: Settings
) -> tuple[dict[str, Any], dict[str, dict[str, int]]]:
    with Supervisor(url, settings.workers, count=True) as supervisor:
        before, log_before = supervisor.counts(), log_bytes(url)
        measured = run_client(workload.name, url, size, True, CLIENT_S)
        executor, log_after = difference(before, supervisor.counts()), log_bytes(url)
    asked = {"client": measured["client_counts"], "supervisor": executor}
    if log_before is not None and log_after is not None:
        for counts in asked.values():
            counts["bytes"] = 0  # what our processes write themselves is not the database
        asked["server"] = dict.fromkeys(executor, 0) | {"bytes": log_after - log_before}
    return measured, asked


def together(asked: dict[str, dict[str, int]]) -> dict[str, int]:
    """The sum over all processes."""
    names = next(iter(asked.values()))
    return {name: sum(counts[name] for counts in asked.values()) for name in names}
