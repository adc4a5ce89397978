"""What the core hears of its worker processes."""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.executor import wire
from dynflow_mp.model.certificates import Certificate
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
    it was at. ``cause`` is ``signal(9)``, ``exit(3)``, ``out_of_memory`` or ``protocol_error``. The certificate is
    about the job begun last; None for workers that are no processes.
    """

    worker_id: str
    queue: str
    begun: int
    finished: int
    part: int
    cause: str
    message: str
    certificate: Certificate | None = None


class StartFailed(NamedTuple):
    """A worker ended before it said hello, or did not say it in time (then ``exit_code`` is None).

    ``killed``: somebody ended it, which says nothing about the application.
    """

    queue: str
    exit_code: int | None
    reason: str
    worker_id: str = ""
    killed: bool = False


News = WorkerReady | WorkFinished | ChunksCame | WorkReturned | WorkerDied | StartFailed
