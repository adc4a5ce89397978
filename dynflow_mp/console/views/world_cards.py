"""Worlds as a page shows them: who they are, when they were last seen, and what executors say of their workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.actions.registry import short_name
from dynflow_mp.console.views.cut_text import one_line
from dynflow_mp.console.views.words import UNKNOWN
from dynflow_mp.console.wording import duration_text
from dynflow_mp.redaction import redacted

_SHOWN_ELSEWHERE = frozenset(
    {"process", "degraded", "queues", "free", "takes_work", "pid", "hostname", "curve_key"}
)
_ORDINARY_SILENCE_S = 10.0


class QueueView(NamedTuple):
    name: str
    size: int
    free: int
    waiting: int
    restarts: int
    deaths: str


class WorkerView(NamedTuple):
    id: str
    pid: int | None
    queue: str
    state: str
    plan_id: str | None
    step_id: int | None
    action: str
    for_s: float | None
    resident: int | None
    age_s: float
    steps_done: int


class ReportView(NamedTuple):
    started_at: datetime
    running_plans: int
    queues: list[QueueView]
    workers: list[WorkerView]


class WorldCard(NamedTuple):
    """``silence``: why there is no report."""

    id: str
    executor: bool
    state: str
    degraded: str | None
    is_own: bool
    process: str
    last_seen: str
    meta: list[tuple[str, str]]
    report: ReportView | None
    silence: str
    can_drain: bool


def world_card(
    record: Any, own_id: str, silent_s: float | None, report: Any = None, silence: str = ""
) -> WorldCard:
    """A world by its record. ``silent_s``: for how long its lease has not been seen to change."""
    is_own = record.id == own_id
    return WorldCard(
        record.id,
        record.executor,
        str(record.state),
        record.degraded,
        is_own,
        _process(record.meta.get("process")),
        "now" if is_own or report is not None else _last_seen(silent_s),
        _meta(record.meta),
        None if report is None else report_view(report),
        silence,
        not is_own and str(record.state) == "alive",
    )


def report_view(report: Any) -> ReportView:
    """What an executor said of its workers."""
    return ReportView(
        report.started_at,
        report.running_plans,
        [_queue(queue) for queue in report.queues],
        [_worker(worker, report.at) for worker in report.workers],
    )


def _queue(queue: Any) -> QueueView:
    deaths = ", ".join(f"{count:,} × {cause}" for cause, count in sorted(queue.deaths.items()))
    return QueueView(queue.name, queue.size, queue.free, queue.waiting, queue.restarts, deaths or "none")


def _worker(worker: Any, at: datetime) -> WorkerView:
    action = "" if worker.action_class is None else short_name(worker.action_class)
    if worker.errand is not None:
        action = f"{worker.errand} {action}".strip()
    return WorkerView(
        worker.id,
        worker.pid,
        worker.queue,
        str(worker.state),
        worker.plan_id,
        worker.step_id,
        action,
        None if worker.since is None else max(0.0, (at - worker.since).total_seconds()),
        worker.resident,
        worker.age_s,
        worker.steps_done,
    )


def _process(traces: object) -> str:
    if not isinstance(traces, Mapping):
        return UNKNOWN
    return one_line(f"pid {traces.get('pid', '?')} on {traces.get('hostname', '?')}", 120)


def _meta(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What else its record says; it may be anything."""
    return [
        (one_line(str(name), 60), one_line(str(redacted(value)), 200))
        for name, value in redacted(dict(meta)).items()
        if name not in _SHOWN_ELSEWHERE and value is not None
    ]


def _last_seen(silent_s: float | None) -> str:
    """A lease says nothing by itself: only that it changes."""
    if silent_s is None:
        return "not watched yet: its lease is looked at from now on"
    if silent_s < _ORDINARY_SILENCE_S:
        return "now" if silent_s < 1 else f"{duration_text(round(silent_s))} ago"
    return f"silent for {duration_text(round(silent_s))}"


class Leases:
    """For how long this console has seen leases stand still. Owned by whoever looks, one thread at a time."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, bool]] = {}
        self._looked: float | None = None

    def look(self, records: Iterable[Any], now: float) -> dict[str, float | None]:
        """Seconds since each lease was last seen to change; None for one that has not been seen to yet.

        That it changed while nobody looked for long says nothing: it may have done so right after the last look.
        """
        watched = self._looked is not None and now - self._looked < _ORDINARY_SILENCE_S
        self._looked = now
        seen: dict[str, tuple[int, float, bool]] = {}
        for record in records:
            before = self._seen.get(record.id)
            if before is None:
                seen[record.id] = (record.lease, now, False)
            elif before[0] != record.lease:
                seen[record.id] = (record.lease, now, watched)
            else:
                seen[record.id] = before
        self._seen = seen
        return {
            world_id: now - since if changed or now - since >= _ORDINARY_SILENCE_S else None
            for world_id, (_, since, changed) in seen.items()
        }
