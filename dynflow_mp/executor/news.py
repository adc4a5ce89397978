"""What the core hears of its worker processes."""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.executor import wire
from dynflow_mp.model.work import OutputChunk


class WorkerReady(NamedTuple):
    """A worker said hello and takes jobs of its queue."""

    worker_id: str
    queue: str
    pid: int


class WorkFinished(NamedTuple):
    """Outcomes by job number."""

    worker_id: str
    outcomes: list[tuple[int, wire.Outcome]]


class ChunksCame(NamedTuple):
    """What a step that still runs has written beside its output."""

    worker_id: str
    job_number: int
    step_id: int
    chunks: tuple[OutputChunk, ...]


class WorkReturned(NamedTuple):
    """Jobs that were recalled in time: never begun, and never will be."""

    worker_id: str
    job_numbers: list[int]


class WorkerDied(NamedTuple):
    """A worker that had been ready is gone; everything it said before was delivered before this.

    ``begun`` and ``finished`` are job numbers (0: none), ``part`` the position of the finalize part
    it was at. ``cause`` is ``signal(9)``, ``exit(3)``, ``out_of_memory`` or ``protocol_error``.
    """

    worker_id: str
    queue: str
    begun: int
    finished: int
    part: int
    cause: str
    message: str


class StartFailed(NamedTuple):
    """A worker ended before it said hello, or did not say it in time (then ``exit_code`` is None)."""

    queue: str
    exit_code: int | None
    reason: str


News = WorkerReady | WorkFinished | ChunksCame | WorkReturned | WorkerDied | StartFailed
