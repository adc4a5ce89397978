"""Stored plans, counted in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric

from dynflow_mp.clock import now_us
from dynflow_mp.console.metrics.families import gauge
from dynflow_mp.persistence.figures import Figures


def of_plans(figures: Figures) -> Iterator[Metric]:
    """What is stored at the moment."""
    yield gauge(
        "dynflow_plans",
        "Stored plans",
        figures.plans.items(),
        ("state", "result"),
    )
    yield gauge(
        "dynflow_open_plans",
        "Stored plans that have not stopped, by the class of their entry action",
        figures.open_plans.items(),
        ("action", "state"),
    )
    by_state: Counter[str] = Counter()
    for (_, state), count in figures.open_plans.items():
        by_state[state] += count
    yield gauge(
        "dynflow_active_execution_plans",
        "Stored plans that have not stopped (Dynflow's name)",
        [((state,), count) for state, count in by_state.items()],
        ("state",),
    )
    yield gauge(
        "dynflow_requested_plans", "Plans that wait for an executor to take them", [((), figures.requests)]
    )
    oldest = figures.oldest_request
    age_s = 0.0 if oldest is None else max(0.0, (now_us() - oldest) / 1e6)
    yield gauge(
        "dynflow_clock_skew_seconds",
        "How far this console's clock is ahead of the database server's",
        [((), figures.clock_skew_s)],
    )
    yield gauge("dynflow_oldest_request_seconds", "For how long the first of them has waited", [((), age_s)])
