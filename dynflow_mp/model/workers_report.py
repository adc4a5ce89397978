"""What an executor tells about its workers: who they are, what each is at, and what became of others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.throughput import Throughput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WorkerState(StrEnum):
    """What a worker is about."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"
    """Another has its place; it ends after the step it runs."""


class QueueFacts(NamedTuple):
    """The workers of one queue. ``restarts``, ``deaths`` by their causes and ``recycled`` by reason are those since its executor started.

    A reason is the setting that says what is enough: ``max_steps_per_worker``, ``max_worker_memory``, ``max_worker_age_s``.
    """

    name: str
    size: int
    free: int
    waiting: int
    """Jobs for which no worker has been free yet."""
    restarts: int
    deaths: dict[str, int]
    recycled: dict[str, int]


class WorkerFacts(NamedTuple):
    """One worker, and the step or errand that it is at; ``errand`` says what kind of errand.

    ``since`` is when it began to be what it is. ``resident`` are the bytes it had in memory after a step, None before its first one;
    ``peak`` is the most it ever had then.
    """

    id: str
    pid: int | None
    queue: str
    state: WorkerState
    plan_id: str | None
    step_id: int | None
    action_class: str | None
    errand: str | None
    since: datetime | None
    resident: int | None
    age_s: float
    steps_done: int
    peak: int | None


class WorkersReport(NamedTuple):
    """An executor's workers at one moment, on its own clock."""

    world_id: str
    at: datetime
    started_at: datetime
    degraded: str | None
    """Why it takes no new plans; None while all is well."""
    running_plans: int
    queues: tuple[QueueFacts, ...]
    workers: tuple[WorkerFacts, ...]
    done: Throughput

    def to_data(self) -> dict[str, Any]:
        """As it travels, without whose it is; times as microseconds UTC."""
        return {
            "at": _micro(self.at),
            "started_at": _micro(self.started_at),
            "degraded": self.degraded,
            "running_plans": self.running_plans,
            "queues": [queue._asdict() for queue in self.queues],
            "workers": [
                {**worker._asdict(), "state": worker.state.value, "since": _micro_or_none(worker.since)}
                for worker in self.workers
            ],
            "done": self.done.to_data(),
        }

    @classmethod
    def from_data(cls, world_id: str, data: Mapping[str, Any]) -> WorkersReport:
        """What :meth:`to_data` made; what a newer world says beside is left out. Raises :class:`ProtocolError`."""
        try:
            return cls(
                world_id,
                _moment(data["at"]),
                _moment(data["started_at"]),
                _text_or_none(data["degraded"]),
                int(data["running_plans"]),
                tuple(_queue(one) for one in data["queues"]),
                tuple(_worker(one) for one in data["workers"]),
                Throughput.from_data(data["done"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProtocolError(f"world {world_id} sent a report that cannot be read: {error!r}") from error


def _queue(data: Mapping[str, Any]) -> QueueFacts:
    return QueueFacts(
        _text(data["name"]),
        int(data["size"]),
        int(data["free"]),
        int(data["waiting"]),
        int(data["restarts"]),
        _counts(data["deaths"]),
        _counts(data["recycled"]),
    )


def _worker(data: Mapping[str, Any]) -> WorkerFacts:
    since = data["since"]
    return WorkerFacts(
        _text(data["id"]),
        _number_or_none(data["pid"]),
        _text(data["queue"]),
        WorkerState(data["state"]),
        _text_or_none(data["plan_id"]),
        _number_or_none(data["step_id"]),
        _text_or_none(data["action_class"]),
        _text_or_none(data["errand"]),
        None if since is None else _moment(since),
        _number_or_none(data["resident"]),
        float(data["age_s"]),
        int(data["steps_done"]),
        _number_or_none(data["peak"]),
    )


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    return {_text(name): int(count) for name, count in data.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def moment(microseconds: int) -> datetime:
    """Microseconds UTC as an aware datetime. Raises :class:`OverflowError`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _moment(value: Any) -> datetime:
    return moment(int(value))


def _micro(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _micro_or_none(time: datetime | None) -> int | None:
    return None if time is None else _micro(time)
