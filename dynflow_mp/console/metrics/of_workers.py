"""Worker processes and what waits for them, as their executors tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from dynflow_mp.console.metrics.families import as_before, counter, gauge
from dynflow_mp.model.workers_report import QueueFacts, WorkersReport

_OF_QUEUE = ("world", "queue")


def of_workers(answered: Mapping[str, WorkersReport]) -> Iterator[Metric]:
    """By queue, of each executor that answered."""
    queues = [(world_id, queue) for world_id, report in answered.items() for queue in report.queues]
    for name, text in (
        ("dynflow_queue_depth", "Jobs for which no worker is free yet"),
        ("dynflow_queue_size", "Jobs for which no worker is free yet (Dynflow's name)"),
    ):
        yield gauge(name, text, [((world, queue.name), queue.waiting) for world, queue in queues], _OF_QUEUE)
    yield gauge(
        "dynflow_queue_free_slots",
        "How many jobs would be begun at once",
        [((world, queue.name), queue.free) for world, queue in queues],
        _OF_QUEUE,
    )
    yield from _of_processes(answered)
    yield from _that_came_and_went(queues)
    yield as_before(
        "dynflow_worker_events",
        "Steps and errands that living workers have done (Dynflow's name)",
        [
            ((world, worker.queue, worker.id), worker.steps_done)
            for world, report in answered.items()
            for worker in report.workers
        ],
        (*_OF_QUEUE, "worker"),
    )
    yield gauge(
        "dynflow_running_plans",
        "Plans that an executor has at the moment",
        [((world,), report.running_plans) for world, report in answered.items()],
        ("world",),
    )


def _that_came_and_went(queues: Sequence[tuple[str, QueueFacts]]) -> Iterator[Metric]:
    yield counter(
        "dynflow_worker_restarts",
        "Workers that took another's place",
        [((world, queue.name), queue.restarts) for world, queue in queues],
        _OF_QUEUE,
    )
    yield counter(
        "dynflow_worker_deaths",
        "Workers that died, by cause",
        [
            ((world, queue.name, cause), count)
            for world, queue in queues
            for cause, count in queue.deaths.items()
        ],
        (*_OF_QUEUE, "cause"),
    )
    yield counter(
        "dynflow_worker_recycles",
        "Workers whose place another took since they had done enough, by the setting that says so",
        [
            ((world, queue.name, limit), count)
            for world, queue in queues
            for limit, count in queue.recycled.items()
        ],
        (*_OF_QUEUE, "reason"),
    )


def _of_processes(answered: Mapping[str, WorkersReport]) -> Iterator[Metric]:
    workers = [(world_id, worker) for world_id, report in answered.items() for worker in report.workers]
    states = Counter((world, worker.queue, str(worker.state)) for world, worker in workers)
    yield gauge("dynflow_workers", "Worker processes", states.items(), ("world", "queue", "state"))
    busy: Counter[tuple[str, str]] = Counter()
    memory: Counter[tuple[str, str]] = Counter()
    peaks: dict[tuple[str, str], int] = {}
    for world_id, worker in workers:
        busy[world_id, worker.queue] += worker.state == "busy"
        memory[world_id, worker.queue] += worker.resident or 0
        peaks[world_id, worker.queue] = max(peaks.get((world_id, worker.queue), 0), worker.peak or 0)
    yield gauge(
        "dynflow_active_workers",
        "Worker processes that run a step (Dynflow's name)",
        busy.items(),
        ("world", "queue"),
    )
    yield gauge(
        "dynflow_worker_resident_bytes",
        "Memory of all workers of a queue, as of their last steps",
        memory.items(),
        ("world", "queue"),
    )
    yield gauge(
        "dynflow_step_peak_memory_bytes",
        "The most that one of a queue's workers has had in memory after a step",
        peaks.items(),
        ("world", "queue"),
    )
