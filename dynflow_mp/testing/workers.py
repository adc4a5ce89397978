"""Workers that are no processes: they run their jobs in the calling thread, one a turn.

What they are given and what they answer passes through the frames of real workers.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynflow_mp.actions.class_facts import use_middleware
from dynflow_mp.actions.errands import run_errand
from dynflow_mp.actions.middleware import MiddlewareRules, world_middleware
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.clock import now_us
from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.errand_kinds import KINDS
from dynflow_mp.executor.failures import failed_job
from dynflow_mp.executor.news import News, WorkerDied, WorkerReady, WorkFinished, WorkReturned
from dynflow_mp.executor.page import NO_USE, Use
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.model.work import (
    Errand,
    ErrandOutcome,
    ErrorRecord,
    FinalizeJob,
    FinalizePart,
    Job,
    StepJob,
    StepOutcome,
)
from dynflow_mp.planning.sub_plans import sub_planner
from dynflow_mp.testing.mishaps import Mishaps, WorkerKilled

_INTERRUPTED = "KeyboardInterrupt"


class _Worker:
    def __init__(self, number: int, queue: str) -> None:
        self.id, self.queue = f"in-thread-{number}", queue
        self.jobs: deque[tuple[int, Job]] = deque()
        self.last_begun = 0


class InThreadWorkers:
    """The workforce of an in-thread world (it satisfies the executor's ``Workforce``)."""

    def __init__(self, max_payload: int, mishaps: Mishaps, middleware: MiddlewareRules) -> None:
        self.pids: dict[str, int] = {}
        self._max_payload, self._mishaps, self._middleware = max_payload, mishaps, middleware
        self._plan_sub_plan = sub_planner(now_us, os.urandom)
        self._workers: dict[str, _Worker] = {}
        self._news: list[News] = []
        self._hired = 0
        self._runners: dict[type, Callable[[Any], Outcome]] = {
            StepJob: self._step,
            FinalizeJob: self._finalize,
            Errand: lambda errand: run_errand(errand, KINDS, max_payload),
        }

    @property
    def busy(self) -> bool:
        """Whether there is something to run or to tell."""
        return bool(self._news) or any(worker.jobs for worker in self._workers.values())

    # -- orders ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Nothing to start."""

    def stop(self, grace_s: float) -> None:
        self._workers.clear()

    def spawn(self, queue: str) -> str:
        self._hired += 1
        worker = _Worker(self._hired, queue)
        self._workers[worker.id] = worker
        self._news.append(WorkerReady(worker.id, queue, os.getpid()))
        return worker.id

    def send(self, worker_id: str, numbered: Sequence[tuple[int, Job]]) -> None:
        worker = self._workers[worker_id]
        for number, job in numbered:
            try:
                worker.jobs.extend(wire.decode_jobs(wire.encode_jobs([(number, job)])))
            except ProtocolError as error:
                self._news.append(WorkFinished(worker_id, [(number, failed_job(job, error))]))

    def recall(self, worker_id: str) -> None:
        worker = self._workers[worker_id]
        numbers = [number for number, _ in worker.jobs]
        worker.jobs.clear()
        self._news.append(WorkReturned(worker_id, numbers))

    def begun(self, worker_id: str) -> int:
        worker = self._workers.get(worker_id)
        return 0 if worker is None else worker.last_begun

    def begun_at(self, worker_id: str) -> float:
        """It is over before anybody could ask."""
        return 0.0

    def resident(self, worker_id: str) -> int | None:
        """It is the test program's own memory."""
        return None

    def use(self, worker_id: str) -> Use:
        """It is the test program's own."""
        return NO_USE

    def retire(self, worker_id: str) -> None:
        """It is not in the middle of a job when it hears of this."""
        self.recall(worker_id)
        self._bury(self._workers[worker_id], "exit(0)", 0)

    def stop_step(self, worker_id: str, step: wire.StepToStop) -> None:
        """What runs cannot be reached from here; what has not begun is given back."""
        worker = self._workers[worker_id]
        waiting = [number for number, _ in worker.jobs if number == step.number]
        worker.jobs = deque(entry for entry in worker.jobs if entry[0] not in waiting)
        if waiting:
            self._news.append(WorkReturned(worker_id, waiting))

    def chunks_heard(self, worker_id: str, job_number: int, number: int) -> None:
        """Chunks come with the outcome here; none are kept."""

    def dump_stacks(self, worker_id: str) -> None:
        """Nobody is stuck here while anything else goes on."""

    def certificate(self, worker_id: str, number: int, cause: str, sentence: str) -> None:
        """It is no process: there is nothing to tell."""

    def terminate(self, worker_id: str) -> None:
        self._bury(self._workers[worker_id], "signal(15)", 0)

    def kill(self, worker_id: str) -> None:
        self._bury(self._workers[worker_id], "signal(9)", 0)

    def renew_deadline(self, until: float) -> None:
        """Nobody watches over whoever gives the jobs."""

    # -- news ------------------------------------------------------------------------------------------

    def hear(self, ready: Mapping[Any, int]) -> list[News]:
        """What is new; if nothing is, the next job is run and its outcome is."""
        if not self._news:
            self._work()
        news, self._news = self._news, []
        return news

    def _work(self) -> None:
        worker = next((worker for worker in self._workers.values() if worker.jobs), None)
        if worker is None:
            return
        number, job = worker.jobs.popleft()
        worker.last_begun = number
        try:
            outcome = self._outcome(job)
        except WorkerKilled as death:
            self._bury(worker, death.cause, death.part)
            return
        self._news.append(WorkFinished(worker.id, [(number, _sent(job, number, outcome))]))
        _let_through_ctrl_c(outcome)

    def _bury(self, worker: _Worker, cause: str, part: int) -> None:
        del self._workers[worker.id]
        message = f"worker {worker.id} ended: {cause}"
        begun = worker.last_begun
        self._news.append(WorkerDied(worker.id, worker.queue, begun, begun, part, cause, message))

    def _outcome(self, job: Job) -> Outcome:
        if world_middleware() is not self._middleware:  # another world of this process was at work since
            use_middleware(self._middleware)
        run = self._runners[type(job)]  # a kind of work that nobody here can do is no step's error
        try:
            return run(job)
        except Exception as error:
            return failed_job(job, error)

    def _step(self, job: StepJob) -> StepOutcome:
        self._mishaps.strike(job, ran=False)
        outcome = run_step(job, self._max_payload, self._plan_sub_plan)
        self._mishaps.strike(job, ran=True)
        return outcome._replace(ended_at=now_us())

    def _finalize(self, job: FinalizeJob) -> tuple[StepOutcome, ...]:
        begun: list[FinalizePart] = []

        def on_part(part: FinalizePart) -> None:
            self._after_part(begun)
            begun.append(part)
            self._mishaps.strike(part, ran=False, part=len(begun) - 1)

        outcomes = run_finalize(job, on_part, self._max_payload)
        self._after_part(begun)
        return tuple(outcome._replace(ended_at=now_us()) for outcome in outcomes)

    def _after_part(self, begun: list[FinalizePart]) -> None:
        if begun:
            self._mishaps.strike(begun[-1], ran=True, part=len(begun) - 1)


def _sent(job: Job, number: int, outcome: Outcome) -> Outcome:
    """The outcome as it comes out of a frame; one that cannot be sent is an error in its place."""
    try:
        frame = wire.encode_outcomes([(number, outcome)])
    except ProtocolError as error:
        frame = wire.encode_outcomes([(number, failed_job(job, error))])
    return wire.decode_outcomes(frame)[0][1]


def _let_through_ctrl_c(outcome: Outcome) -> None:
    """In a worker process an interrupt is the step's end; here it is meant for the test program."""
    for one in (outcome,) if isinstance(outcome, (StepOutcome, ErrandOutcome)) else outcome:
        if one.error and ErrorRecord.from_bytes(one.error).exception_class == _INTERRUPTED:
            raise KeyboardInterrupt
