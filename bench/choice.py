"""Which workloads run on which databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.databases import MYSQL, POSTGRESQL, SQLITE

ON_SERVERS = ("fan_out", "chain")
"""What is also measured on PostgreSQL when nothing is chosen."""
COUNTED = ("fan_out", "chain", "many_plans")
"""What is counted on every kind of database when nothing is chosen."""


class Choice(NamedTuple):
    """One workload on one database (``sqlite``, a kind of server, or a URL)."""

    workload: str
    database: str


def chosen(
    workloads: Sequence[str],
    databases: Sequence[str],
    everything: Sequence[str],
    counting: bool,
    left_out: Callable[[str], bool],
) -> list[Choice]:
    """What is named; when nothing is, everything on SQLite and a part on the servers that answer.

    ``left_out`` is asked about servers that nobody named.
    """
    if databases:
        named = workloads or (COUNTED if counting else everything)
        return [Choice(workload, database) for database in databases for workload in named]
    if workloads:
        return [Choice(workload, SQLITE) for workload in workloads]
    if counting:
        kinds = [SQLITE, *(kind for kind in (POSTGRESQL, MYSQL) if not left_out(kind))]
        return [Choice(workload, kind) for kind in kinds for workload in COUNTED]
    on_servers = () if left_out(POSTGRESQL) else ON_SERVERS
    return [
        *(Choice(workload, SQLITE) for workload in everything),
        *(Choice(workload, POSTGRESQL) for workload in on_servers),
    ]
