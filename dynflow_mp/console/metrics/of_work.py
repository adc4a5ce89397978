"""What executors have done, by their own account: steps, plans, waiting, commits, messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric

from dynflow_mp.console.metrics.families import as_before, counter, histogram
from dynflow_mp.model.throughput import Throughput
from dynflow_mp.model.workers_report import WorkersReport

_OF_CALLS = ("world", "action", "phase")


def of_work(answered: Mapping[str, WorkersReport]) -> Iterator[Metric]:
    """Since each executor started; what is of one that has ended is gone with it."""
    done = {world_id: report.done for world_id, report in answered.items()}
    yield from _of_steps(done)
    yield from _of_plans(done)
    yield histogram(
        "dynflow_step_queue_seconds",
        "How long jobs waited for a worker",
        [((world, queue), spread) for world, one in done.items() for queue, spread in one.waits.items()],
        ("world", "queue"),
    )
    yield histogram(
        "dynflow_db_commit_seconds",
        "How long an executor's transactions took, repeats included",
        [((world,), one.commits) for world, one in done.items()],
        ("world",),
    )
    yield histogram(
        "dynflow_db_commit_batch_size",
        "How many changes were in one transaction",
        [((world,), one.writes) for world, one in done.items()],
        ("world",),
    )
    yield from _of_messages(done)


def _of_steps(done: Mapping[str, Throughput]) -> Iterator[Metric]:
    calls = [(world, calls) for world, one in done.items() for calls in one.steps]
    yield counter(
        "dynflow_steps",
        "Calls of steps that have ended, by the state they left their step in",
        [
            ((world, one.action_class, one.phase, state), count)
            for world, one in calls
            for state, count in one.states.items()
        ],
        (*_OF_CALLS, "state"),
    )
    yield histogram(
        "dynflow_step_duration_seconds",
        "How long calls of steps took",
        [((world, one.action_class, one.phase), one.durations) for world, one in calls],
        _OF_CALLS,
    )


def _of_plans(done: Mapping[str, Throughput]) -> Iterator[Metric]:
    plans = [(world, plans) for world, one in done.items() for plans in one.plans]
    stopped = [
        ((world, one.action_class, result), count)
        for world, one in plans
        for result, count in one.results.items()
    ]
    labels = ("world", "action", "result")
    yield counter("dynflow_plans", "Plans that have stopped", stopped, labels)
    name = "dynflow_finished_execution_plans"
    yield as_before(name, "Plans that have stopped (Dynflow's name)", stopped, labels)
    yield counter(
        "dynflow_plan_pauses",
        "How often plans paused, for want of somebody who decides",
        [((world, one.action_class), one.pauses) for world, one in plans if one.pauses],
        ("world", "action"),
    )
    yield counter(
        "dynflow_lost_plans",
        "Plans that an executor had and that another one has taken, or that were deleted",
        [((world,), one.lost_plans) for world, one in done.items()],
        ("world",),
    )


def _of_messages(done: Mapping[str, Throughput]) -> Iterator[Metric]:
    kinds = [
        ((world, direction, kind), count)
        for world, one in done.items()
        for (direction, kind), count in one.messages.items()
    ]
    yield counter(
        "dynflow_messages",
        "Messages from and to other worlds",
        kinds,
        ("world", "direction", "type"),
    )
    sums: Counter[tuple[str, str]] = Counter()
    for (world, direction, _), count in kinds:
        sums[world, direction] += count
    yield as_before(
        "dynflow_connector_envelopes",
        "The same without their kinds (Dynflow's name)",
        sums.items(),
        ("world", "direction"),
    )
