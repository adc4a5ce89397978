"""Worker processes of a simulated executor: begun, killed, stopped and continued at any moment.

What they run is the engine's own ``run_step``; what they are given and what they answer passes through real frames. They live
and die as processes of their own: with their supervisor (the parent-death signal), by their guardian when the
supervisor's time is over, by a fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from dynflow_mp.actions.errands import run_errand
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.executor import wire
from dynflow_mp.executor.errand_kinds import KINDS
from dynflow_mp.executor.failures import failed_job
from dynflow_mp.executor.guardian import Guardian
from dynflow_mp.executor.news import News, WorkerDied, WorkerReady, WorkFinished, WorkReturned
from dynflow_mp.executor.page import NO_USE, Use
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.model.work import FinalizeJob, FinalizePart, Job, StepJob
from dynflow_mp.planning.sub_plans import sub_planner
from tests.simulation.effects import Effects
from tests.simulation.kernel import Process
from tests.simulation.threads import VirtualEvent, VirtualQueue, here, kernel

_IPC_S = (0.0001, 0.002)
_START_S = (0.02, 0.2)
READABLE = 1


class Source:
    """Something a poller may wait for."""

    def __init__(self) -> None:
        self.ready = False
        self.changed: VirtualEvent | None = None

    def show(self) -> None:
        self.ready = True
        if self.changed is not None:
            self.changed.set()


class SimulatedBell:
    """As ``Bell``, without a pipe."""

    def __init__(self) -> None:
        self.fd = Source()

    def ring(self) -> None:
        self.fd.show()

    def silence(self) -> None:
        self.fd.ready = False

    def close(self) -> None:
        """Nothing to close."""


class SimulatedPoller:
    """As ``zmq.Poller``, for sources."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._changed = VirtualEvent()

    def register(self, source: Source, flags: int = READABLE) -> None:
        source.changed = self._changed
        self._sources.append(source)

    def poll(self, timeout: float | None = None) -> list[tuple[Source, int]]:
        kernel().pause(0.00005, 0.0005)
        if not any(source.ready for source in self._sources) and timeout != 0:
            self._changed.clear()
            self._changed.wait(None if timeout is None else timeout / 1000)
        return [(source, READABLE) for source in self._sources if source.ready]


class GuardianProcess:
    """The guardian beside a supervisor: the engine's own list and deadline, in a process that nobody stops."""

    def __init__(self, workforce: SimulatedProcesses) -> None:
        self._workforce = workforce
        self._machine = workforce.process.machine
        self._said = inf
        self.real = Guardian()
        self.killed: set[int] = set()

    def say(self, line: str) -> None:
        """A line through the pipe, which outlives whoever has said it."""
        self._workforce.in_order("guardian", lambda: self._hear(line))

    def until(self, deadline: float) -> None:
        """On the machine's steady clock."""
        if deadline != self._said:
            self._said = deadline
            self.say(f"until {deadline!r}\n")

    def _hear(self, line: str) -> None:
        self.real.hear(line.encode())
        left_s = self.real.deadline - self._machine.monotonic()
        if left_s != inf:
            kernel().later(
                max(0.0, left_s) / self._machine.rate + kernel().chance.uniform(0.0001, 0.02), self._look
            )

    def _look(self) -> None:
        if self._machine.monotonic() < self.real.deadline:
            return  # renewed since
        self.real.deadline = inf
        for pid in sorted(self.real.groups):
            self.killed.add(pid)
            self._machine.processes[pid].kill("lease_lost")


class SimulatedWorker:
    """One worker process."""

    def __init__(self, workforce: SimulatedProcesses, worker_id: str, queue: str) -> None:
        self.id, self.queue, self._workforce = worker_id, queue, workforce
        self.process = Process(
            workforce.process.kernel, workforce.process.machine, worker_id, workforce.process
        )
        self.process.on_death.append(lambda: workforce.died(self))
        self.begun = self.part = 0
        self.ready = False
        self._mailbox = VirtualQueue()
        self._waiting: deque[tuple[int, Job]] = deque()
        self._recalls = VirtualQueue()
        self.process.spawn(self._run, "main lane")
        self.process.spawn(self._control, "control lane")

    # -- from the supervisor, over ipc: in order, never lost while the worker lives -----------------------

    def deliver(self, jobs: list[tuple[int, Job]]) -> None:
        self._waiting.extend(jobs)
        self._mailbox.put(None)

    def recall(self) -> None:
        self._recalls.put(None)

    # -- its threads -----------------------------------------------------------------------------------

    def _control(self) -> None:
        while True:
            self._recalls.get()
            numbers = [number for number, _ in self._waiting]
            self._waiting.clear()
            if numbers:
                self._workforce.tell(self, WorkReturned(self.id, numbers))

    def _run(self) -> None:
        kernel().pause(*_START_S)
        self.ready = True
        self._workforce.tell(self, WorkerReady(self.id, self.queue, self.process.pid))
        while True:
            while not self._waiting:
                self._mailbox.get()
            number, job = self._waiting.popleft()
            self.begun, self.part = number, 0
            outcome = self._outcome(job)
            frame = wire.encode_outcomes([(number, outcome)])
            self._workforce.tell(self, WorkFinished(self.id, wire.decode_outcomes(frame)))

    def _outcome(self, job: Job) -> Outcome:
        try:
            if isinstance(job, StepJob):
                return self._step(job)
            if isinstance(job, FinalizeJob):
                return self._finalize(job)
            return run_errand(job, KINDS, self._workforce.max_payload)
        except Exception as error:
            return failed_job(job, error)

    def _step(self, job: StepJob) -> Outcome:
        effects = self._workforce.effects
        effect = effects.begin(self.process, job.plan_id, job.step_id, job.attempt, job.event)
        outcome = run_step(job, self._workforce.max_payload, self._workforce.plan_sub_plan)
        effects.end(effect, str(outcome.state))
        return outcome

    def _finalize(self, job: FinalizeJob) -> Outcome:
        effects = self._workforce.effects
        going_on: list[Any] = []

        def part_begins(part: FinalizePart) -> None:
            end_last()
            self.part = len(going_on)
            going_on.append(effects.begin(self.process, job.plan_id, part.step_id, part.attempt, None))

        def end_last() -> None:
            if going_on:
                effects.end(going_on[-1], "finalized")

        outcomes = run_finalize(job, part_begins, self._workforce.max_payload)
        end_last()
        return outcomes


class SimulatedProcesses:
    """The workforce of one simulated executor (it satisfies the executor's ``Workforce``)."""

    effects: Effects
    """Of the simulation that goes on."""

    def __init__(
        self, directory: Path, settings: Any, poller: SimulatedPoller, context: object = None
    ) -> None:
        self.process = here().process
        self.max_payload: int = settings.max_payload
        self.workers: dict[str, SimulatedWorker] = {}
        self.guardian = GuardianProcess(self)
        self.plan_sub_plan = sub_planner(
            self.process.machine.now_us, lambda size: kernel().chance.randbytes(size)
        )
        self._news: deque[News] = deque()
        self._socket = Source()
        poller.register(self._socket)
        self._hired = 0
        self._last_arrival: dict[str, float] = {}
        self.process.workforce = self  # type: ignore[attr-defined]

    @property
    def pids(self) -> Mapping[str, int]:
        return {worker.id: worker.process.pid for worker in self.workers.values()}

    # -- orders ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """The guardian is there from the beginning."""

    def stop(self, grace_s: float) -> None:
        for worker in list(self.workers.values()):
            worker.process.kill("exit(0)")
        self.workers.clear()
        self._news.clear()

    def spawn(self, queue: str) -> str:
        self._hired += 1
        worker = SimulatedWorker(self, f"{self.process.name}.w{self._hired}", queue)
        self.workers[worker.id] = worker
        self.guardian.say(f"add {worker.process.pid}\n")
        return worker.id

    def send(self, worker_id: str, numbered: Sequence[tuple[int, Job]]) -> None:
        worker = self.workers.get(worker_id)
        if worker is None:
            return
        jobs = wire.decode_jobs(wire.encode_jobs(list(numbered)))
        if kernel().tracing:
            for number, job in jobs:
                what = f"step {job.step_id}/{job.attempt}" if isinstance(job, StepJob) else type(job).__name__
                kernel().say(
                    self.process.name, f"sends job {number} to {worker_id}: {what} of {job.plan_id[-6:]}"
                )
        self.in_order(f">{worker_id}", lambda: worker.deliver(jobs))

    def recall(self, worker_id: str) -> None:
        worker = self.workers.get(worker_id)
        if worker is not None:
            self.in_order(f"^{worker_id}", worker.recall)

    def begun(self, worker_id: str) -> int:
        worker = self.workers.get(worker_id)
        return 0 if worker is None else worker.begun

    def begun_at(self, worker_id: str) -> float:
        return 0.0

    def resident(self, worker_id: str) -> int | None:
        return None

    def stop_step(self, worker_id: str, step: wire.StepToStop) -> None:
        """No step of these simulations listens; signals follow."""

    def chunks_heard(self, worker_id: str, job_number: int, number: int) -> None:
        """Chunks come with their outcomes here."""

    def dump_stacks(self, worker_id: str) -> None:
        """Nobody reads them."""

    def certificate(self, worker_id: str, number: int, cause: str, sentence: str) -> None:
        """It is no process: there is nothing to tell."""

    def use(self, worker_id: str) -> Use:
        return NO_USE

    def retire(self, worker_id: str) -> None:
        self.terminate(worker_id)

    def terminate(self, worker_id: str) -> None:
        self._kill(worker_id, "signal(15)")

    def kill(self, worker_id: str) -> None:
        self._kill(worker_id, "signal(9)")

    def _kill(self, worker_id: str, cause: str) -> None:
        worker = self.workers.get(worker_id)
        if worker is not None:
            worker.process.kill(cause)

    def renew_deadline(self, until: float) -> None:
        self.guardian.until(until)

    # -- news ------------------------------------------------------------------------------------------

    def tell(self, worker: SimulatedWorker, news: News) -> None:
        """A worker says something: it comes, also when the worker dies meanwhile, and in order."""
        self.in_order(f"<{worker.id}", lambda: self._arrive(news))

    def died(self, worker: SimulatedWorker) -> None:
        """Its pidfd says so; what it had said comes before."""
        if worker.id not in self.workers:
            return
        cause, begun = worker.process.cause, worker.begun
        message = f"worker {worker.id} ended: {cause}"
        gone = WorkerDied(worker.id, worker.queue, begun, begun, worker.part, cause, message)
        self.in_order(f"<{worker.id}", lambda: self._bury(worker, gone))

    def _bury(self, worker: SimulatedWorker, news: WorkerDied) -> None:
        if self.workers.pop(worker.id, None) is not None:
            self.guardian.say(f"drop {worker.process.pid}\n")
            if not worker.ready:
                self._arrive(WorkerReady(worker.id, worker.queue, worker.process.pid))
            self._arrive(news)

    def _arrive(self, news: News) -> None:
        self._news.append(news)
        self._socket.show()

    def in_order(self, way: str, call: Callable[[], None]) -> None:
        now = kernel().now
        due = max(now + kernel().chance.uniform(*_IPC_S), self._last_arrival.get(way, 0.0) + 1e-6)
        self._last_arrival[way] = due
        kernel().at(due, call)

    def hear(self, ready: Mapping[Any, int]) -> list[News]:
        self._socket.ready = False
        news, self._news = list(self._news), deque()
        return news
