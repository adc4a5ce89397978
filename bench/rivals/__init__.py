"""Other tools doing the same work on the same machine, seconds before us.

    bench ──▶ environments: .bench/venvs/<name>, made on first use, pinned versions
      └─────▶ <its python> -m bench.rivals.<program> WORKLOAD … ──▶ one JSON object: {"value": …}

A rival's program is imported by its own Python, so this file imports nothing of ours or theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple


class Rival(NamedTuple):
    """One tool in one configuration."""

    program: str
    """The module that runs it, below ``bench.rivals``."""
    environment: str
    requirements: tuple[str, ...]
    workloads: tuple[str, ...]
    databases: tuple[str, ...]
    servers: tuple[tuple[str, int], ...] = ()
    """Name and local port of the servers it needs."""
    options: tuple[str, ...] = ()


_COMMON = ("SQLAlchemy==2.1.9", "psycopg[binary]==3.3.9")
_CELERY = ("celery[redis,sqlalchemy]==5.7.0", *_COMMON)
_ALL = ("many_plans", "fan_out", "chain")

TOOLS = {
    "dbos": Rival("dbos", "dbos", ("dbos==3.4.0", *_COMMON), _ALL, ("sqlite", "postgresql")),
    "celery": Rival(
        "celery",
        "celery",
        _CELERY,
        _ALL,
        ("sqlite", "postgresql"),
        (("RabbitMQ", 5672),),
        ("--results=database",),
    ),
    "celery_redis": Rival(
        "celery",
        "celery",
        _CELERY,
        _ALL,
        ("sqlite", "postgresql"),
        (("RabbitMQ", 5672), ("Redis", 6379)),
        ("--results=redis",),
    ),
}


def tools(workload: str) -> dict[str, Callable[[str, int, int], float]]:
    """The rivals that can run this workload: ``(database URL, size, workers) → value``."""
    return {
        name: partial(measure, name, workload) for name, rival in TOOLS.items() if workload in rival.workloads
    }


def measure(name: str, workload: str, url: str, size: int, workers: int) -> float:
    """One run of one rival in its own environment."""
    from bench.rivals.environments import run  # a rival's Python, which reads this file too, never needs it

    return run(name, TOOLS[name], workload, url, size, workers)
