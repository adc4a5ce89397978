"""Registered worlds, and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric

from dynflow_mp.console.metrics.families import gauge
from dynflow_mp.console.metrics.seen import Seen


def of_worlds(seen: Seen) -> Iterator[Metric]:
    """As they stand in the coordinator's records."""
    kinds = Counter(
        ("executor" if record.executor else "client", str(record.state)) for record in seen.worlds
    )
    yield gauge("dynflow_worlds", "Registered worlds", kinds.items(), ("kind", "state"))
    degraded = sum(record.executor and record.degraded is not None for record in seen.worlds)
    yield gauge(
        "dynflow_degraded_executors",
        "Executors that take no new plans, since their workers fail too often",
        [((), degraded)],
    )
    yield gauge(
        "dynflow_locks", "Locks held", [((name,), count) for name, count in seen.locks.items()], ("class",)
    )
    silent = sum(report is None for report in seen.reports.values())
    yield gauge("dynflow_silent_executors", "Executors that did not answer this scrape", [((), silent)])
