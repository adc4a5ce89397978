"""``/metrics``: what Prometheus reads – counted in the database, and asked of the executors, every few seconds at most.

No plan's id is in a label. Classes of actions are, those of the most plans; all others are ``other``. Names that
begin as Dynflow's own are there beside ours, for dashboards that know those.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp import __version__
from dynflow_mp.console.cached import Cached
from dynflow_mp.console.executors import reports_of
from dynflow_mp.console.metrics.families import gauge
from dynflow_mp.console.metrics.of_plans import of_plans
from dynflow_mp.console.metrics.of_work import of_work
from dynflow_mp.console.metrics.of_workers import of_workers
from dynflow_mp.console.metrics.of_worlds import of_worlds
from dynflow_mp.console.metrics.seen import Seen
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import DynflowError

_GOOD_FOR_S = 5.0
_PATIENCE_S = 2.0
_WAIT_S = 8.0
_MOST_CLASSES = 50


def routes(world: Any) -> list[Route]:
    """The one."""
    registry = CollectorRegistry(auto_describe=False)
    seen = Cached(lambda: _look(world), _GOOD_FOR_S, _WAIT_S)
    registry.register(Figured(seen))

    def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", metrics, methods=["GET"], name="metrics")]


class Figured:
    """A collector of figures that are looked up when somebody asks."""

    def __init__(self, seen: Cached[Seen]) -> None:
        self._seen = seen

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric. Raises :class:`Refused` if the figures are not there in time."""
        seen = self._seen.get()
        if seen is None:
            raise Refused(503, "The figures are not there in time.")
        yield _info()
        yield gauge("dynflow_database_up", "Whether the database answers", [((), seen.figures is not None)])
        if seen.figures is not None:
            yield from of_plans(seen.figures)
        yield from of_worlds(seen)
        answered = seen.answered
        yield from of_workers(answered)
        yield from of_work(answered)


def _look(world: Any) -> Seen:
    try:
        figures = world.persistence.figures(_MOST_CLASSES)
        worlds = world.coordinator.find_worlds()
        locks = Counter(lock.class_name for lock in world.coordinator.find_locks())
    except DynflowError:
        return Seen(None, [], Counter(), {})
    executors = [record.id for record in worlds if record.executor and record.state != "dead"]
    return Seen(figures, worlds, locks, reports_of(world, executors, _PATIENCE_S))


def _info() -> Metric:
    found = GaugeMetricFamily("dynflow_build_info", "This console's version", labels=("version", "python"))
    found.add_metric((__version__, platform.python_version()), 1)
    return found
