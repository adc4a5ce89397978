"""Results as a table for people and as lines of JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.runner import Counted, Result


def result_json(result: Result) -> str:
    """One result on one line."""
    facts = {
        "workload": result.workload,
        "database": result.database,
        "n": result.n,
        "value": round(result.value.median, 4),
        "unit": result.unit,
        "ceiling": None if result.ceiling is None else round(result.ceiling, 4),
        "ratio": round(result.ratio, 4),
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
    """One table; ``ratio`` is the median of value over ceiling, each pair measured seconds apart."""
    table = Table(title=f"medians of {runs} runs", title_justify="left", caption=machine())
    for heading in ("workload", "database"):
        table.add_column(heading)
    for heading in ("n", "value", "spread", "unit", "ceiling", "ratio"):
        table.add_column(heading, justify="right")
    for heading in ("rivals", "rss MiB", "more"):
        table.add_column(heading)
    for result in results:
        table.add_row(
            result.workload,
            result.database,
            f"{result.n:,}",
            number(result.value.median),
            f"{number(result.value.lowest)} … {number(result.value.highest)}",
            result.unit,
            "" if result.ceiling is None else number(result.ceiling),
            f"{result.ratio:.2f}",
            pairs(result.rivals),
            pairs(result.rss_mb),
            pairs(result.detail),
        )
    console.print(table)


def show_counts(console: Console, counted: Sequence[Counted]) -> None:
    """What each process asks of its database, per step."""
    names = list(counted[0].per_step)
    table = Table(title="per step", title_justify="left", caption=machine())
    for heading in ("workload", "database", "process"):
        table.add_column(heading)
    for heading in ("n", *names):
        table.add_column(heading, justify="right")
    for line in counted:
        values = [f"{line.per_step[name]:,.3f}" for name in names]
        table.add_row(line.workload, line.database, line.process, f"{line.n:,}", *values)
    console.print(table)


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def pairs(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in values.items())
