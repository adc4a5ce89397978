"""Results as a table for people and as lines of JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.costs import Counted
from bench.runner import Result


def result_json(result: Result) -> str:
    """One result on one line. ``ratio`` is null where there is no ceiling; ``detail`` holds what only this workload has."""
    facts = {
        "workload": result.workload,
        "database": result.database,
        "n": result.n,
        "value": round(result.value.median, 4),
        "unit": result.unit,
        "ceiling": None if result.ceiling is None else round(result.ceiling, 4),
        "ratio": None if result.ratio is None else round(result.ratio, 4),
        "rivals": {name: round(value, 4) for name, value in result.rivals.items()},
        "spread": [round(result.value.lowest, 4), round(result.value.highest, 4)],
        "rss_mb": result.rss_mb,
        **({"detail": result.detail} if result.detail else {}),
    }
    return json.dumps(facts)


def counted_json(counted: Counted) -> str:
    """One process's counts on one line."""
    per_step = {name: round(value, 4) for name, value in counted.per_step.items()}
    return json.dumps({**counted._asdict(), "per_step": per_step})


def show_results(console: Console, results: Sequence[Result], runs: int) -> None:
    """One table; ``ratio`` is the median of value over ceiling, ``over_…`` of value over a rival's, each pair measured seconds apart."""
    table = Table(title=f"medians of {runs} runs", title_justify="left", caption=machine())
    table.add_column("workload")
    for heading in ("n", "value", "spread", "ceiling", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("beside it")
    for result in results:
        table.add_row(
            f"{result.workload}\n{result.database}",
            f"{result.n:,}",
            f"{number(result.value.median)}\n{result.unit}",
            f"{number(result.value.lowest)}\n{number(result.value.highest)}",
            "" if result.ceiling is None else number(result.ceiling),
            "" if result.ratio is None else f"{result.ratio:.2f}",
            "\n".join(pairs(result.rivals) + pairs(result.detail) + pairs(result.rss_mb, "rss ", " MiB")),
            end_section=True,
        )
    console.print(table)


def show_counts(console: Console, counted: Sequence[Counted]) -> None:
    """What each process asks of its database, per step."""
    names = list(counted[0].per_step)
    table = Table(title="per step", title_justify="left", caption=machine())
    table.add_column("database")
    table.add_column("workload")
    table.add_column("process")
    for heading in ("n", *names):
        table.add_column(heading, justify="right")
    for line in counted:
        values = [
            f"{line.per_step[name]:,.0f}" if name == "bytes" else f"{line.per_step[name]:,.3f}"
            for name in names
        ]
        table.add_row(
            line.database,
            line.workload,
            line.process,
            f"{line.n:,}",
            *values,
            end_section=line.process == "together",
        )
    console.print(table)


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def pairs(values: dict[str, float], before: str = "", after: str = "") -> list[str]:
    return [f"{before}{name} {number(value)}{after}" for name, value in values.items()]
