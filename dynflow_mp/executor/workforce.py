"""What the floor needs of those who run its jobs, be they processes or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dynflow_mp.executor.news import News
from dynflow_mp.executor.page import Use
from dynflow_mp.executor.wire import StepToStop
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.work import Job


class Workforce(Protocol):
    """Workers: started, spoken to, listened to. Decides nothing; used by the core's thread only."""

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids by worker id, of those that are processes."""

    def start(self) -> None:
        """Get ready to have workers."""

    def stop(self, grace_s: float) -> None:
        """End everything."""

    def spawn(self, queue: str) -> str:
        """Have one more worker; news of it follow. Returns its id."""

    def send(self, worker_id: str, numbered: Sequence[tuple[int, Job]]) -> None:
        """Send jobs; their numbers grow per worker, from 1."""

    def recall(self, worker_id: str) -> None:
        """Ask for jobs not begun yet; news say which those were."""

    def begun(self, worker_id: str) -> int:
        """The number of the job that a worker began last; 0 for one that is gone."""

    def begun_at(self, worker_id: str) -> float:
        """When that was (steady clock); 0 where that cannot be told."""

    def resident(self, worker_id: str) -> int | None:
        """How many bytes a worker has in memory; None where that cannot be told."""

    def use(self, worker_id: str) -> Use:
        """What a worker had taken after the step it ended last; nothing, where that cannot be told."""

    def retire(self, worker_id: str) -> None:
        """Let a worker go once its current job is done; what it has not begun is given back."""

    def stop_step(self, worker_id: str, step: StepToStop) -> None:
        """Ask a worker to leave a job, or to give it back: its outcome, or WorkReturned, follows – or nothing."""

    def chunks_heard(self, worker_id: str, job_number: int, number: int) -> None:
        """Tell a worker that it need not keep these output chunks any longer."""

    def dump_stacks(self, worker_id: str) -> None:
        """Have a worker write down where it is, also while it is stuck: its certificate will say so."""

    def certificate(self, worker_id: str, number: int, cause: str, sentence: str) -> Certificate | None:
        """What can be told of a job that was ended and its worker lives; None if nothing can."""

    def terminate(self, worker_id: str) -> None:
        """Have a worker end, unless it refuses."""

    def kill(self, worker_id: str) -> None:
        """End a worker at once, whatever it does."""

    def renew_deadline(self, until: float) -> None:
        """What workers do may go on until then (:func:`~dynflow_mp.clock.steady`), whatever becomes of who gives the jobs."""

    def hear(self, ready: Mapping[Any, int]) -> Sequence[News]:
        """Everything new, given what the poller found."""
