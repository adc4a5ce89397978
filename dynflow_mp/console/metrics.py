"""``/metrics``: what Prometheus reads – counted in the database, and asked of the executors, every few seconds at most.

No plan's id is in a label. Classes of actions are, those of the most plans; all others are ``other``. Names that
begin as Dynflow's own are there beside ours, for dashboards that know those.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp import __version__
from dynflow_mp.clock import now_us
from dynflow_mp.console.cached import Cached
from dynflow_mp.console.executors import reports_of
from dynflow_mp.console.refusals import Refused
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import DynflowError
from dynflow_mp.model.workers_report import WorkersReport
from dynflow_mp.persistence.figures import Figures

_GOOD_FOR_S = 5.0
_PATIENCE_S = 2.0
_WAIT_S = 8.0
_MOST_CLASSES = 50


class Seen(NamedTuple):
    """What one scrape is made of; nothing of it where the database does not answer."""

    figures: Figures | None
    worlds: list[WorldRecord]
    locks: Counter[str]
    reports: dict[str, WorkersReport | None]


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
        yield _gauge("dynflow_database_up", "Whether the database answers", [((), seen.figures is not None)])
        if seen.figures is not None:
            yield from _of_plans(seen.figures)
        yield from _of_worlds(seen)
        yield from _of_workers(seen.reports)


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


def _of_plans(figures: Figures) -> Iterator[Metric]:
    yield _gauge(
        "dynflow_plans",
        "Stored plans",
        figures.plans.items(),
        ("state", "result"),
    )
    yield _gauge(
        "dynflow_open_plans",
        "Stored plans that have not stopped, by the class of their entry action",
        figures.open_plans.items(),
        ("action", "state"),
    )
    by_state: Counter[str] = Counter()
    for (_, state), count in figures.open_plans.items():
        by_state[state] += count
    yield _gauge(
        "dynflow_active_execution_plans",
        "Stored plans that have not stopped (Dynflow's name)",
        [((state,), count) for state, count in by_state.items()],
        ("state",),
    )
    yield _gauge(
        "dynflow_requested_plans", "Plans that wait for an executor to take them", [((), figures.requests)]
    )
    oldest = figures.oldest_request
    age_s = 0.0 if oldest is None else max(0.0, (now_us() - oldest) / 1e6)
    yield _gauge("dynflow_oldest_request_seconds", "For how long the first of them has waited", [((), age_s)])


def _of_worlds(seen: Seen) -> Iterator[Metric]:
    kinds = Counter(
        ("executor" if record.executor else "client", str(record.state)) for record in seen.worlds
    )
    yield _gauge("dynflow_worlds", "Registered worlds", kinds.items(), ("kind", "state"))
    degraded = sum(record.executor and record.degraded is not None for record in seen.worlds)
    yield _gauge(
        "dynflow_degraded_executors",
        "Executors that take no new plans, since their workers fail too often",
        [((), degraded)],
    )
    yield _gauge(
        "dynflow_locks", "Locks held", [((name,), count) for name, count in seen.locks.items()], ("class",)
    )
    silent = sum(report is None for report in seen.reports.values())
    yield _gauge("dynflow_silent_executors", "Executors that did not answer this scrape", [((), silent)])


def _of_workers(reports: dict[str, WorkersReport | None]) -> Iterator[Metric]:
    answered = {world_id: report for world_id, report in reports.items() if report is not None}
    queues = [(world_id, queue) for world_id, report in answered.items() for queue in report.queues]
    of_queue = ("world", "queue")
    for name, text in (
        ("dynflow_queue_depth", "Jobs for which no worker is free yet"),
        ("dynflow_queue_size", "Jobs for which no worker is free yet (Dynflow's name)"),
    ):
        yield _gauge(name, text, [((world, queue.name), queue.waiting) for world, queue in queues], of_queue)
    yield _gauge(
        "dynflow_queue_free_slots",
        "How many jobs would be begun at once",
        [((world, queue.name), queue.free) for world, queue in queues],
        of_queue,
    )
    yield from _of_processes(answered)
    yield _counter(
        "dynflow_worker_restarts",
        "Workers that took another's place",
        [((world, queue.name), queue.restarts) for world, queue in queues],
        of_queue,
    )
    yield _counter(
        "dynflow_worker_deaths",
        "Workers that died, by cause",
        [
            ((world, queue.name, cause), count)
            for world, queue in queues
            for cause, count in queue.deaths.items()
        ],
        (*of_queue, "cause"),
    )
    yield _gauge(
        "dynflow_running_plans",
        "Plans that an executor has at the moment",
        [((world,), report.running_plans) for world, report in answered.items()],
        ("world",),
    )


def _of_processes(answered: dict[str, WorkersReport]) -> Iterator[Metric]:
    workers = [(world_id, worker) for world_id, report in answered.items() for worker in report.workers]
    states = Counter((world, worker.queue, str(worker.state)) for world, worker in workers)
    yield _gauge("dynflow_workers", "Worker processes", states.items(), ("world", "queue", "state"))
    busy: Counter[tuple[str, str]] = Counter()
    memory: Counter[tuple[str, str]] = Counter()
    for world_id, worker in workers:
        busy[world_id, worker.queue] += worker.state == "busy"
        memory[world_id, worker.queue] += worker.resident or 0
    yield _gauge(
        "dynflow_active_workers",
        "Worker processes that run a step (Dynflow's name)",
        busy.items(),
        ("world", "queue"),
    )
    yield _gauge(
        "dynflow_worker_resident_bytes",
        "Memory of all workers of a queue, as of their last steps",
        memory.items(),
        ("world", "queue"),
    )


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, samples: Samples, labels: tuple[str, ...] = ()) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), samples)


def _counter(name: str, text: str, samples: Samples, labels: tuple[str, ...]) -> Metric:
    """Its name ends with ``_total`` when it is read."""
    return _filled(CounterMetricFamily(name, text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family
