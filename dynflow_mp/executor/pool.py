"""Which job goes to which worker: credit, batches, fairness. Bookkeeping only; sends nothing.

A worker's credit is time, not a count: it may hold jobs for about ``HORIZON_S`` seconds by what
steps of their class have cost so far, and always one. So microsecond steps travel in batches, a
step of more than a few milliseconds travels alone, and no step waits behind a slow one it could not
have known about for longer than it takes to notice (:meth:`Pool.overdue`, answered by a recall).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dynflow_mp.executor.job_queue import JobQueue
from dynflow_mp.executor.limit_watch import Limits
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.throughput import SECONDS, Spread
from dynflow_mp.model.work import Errand, FinalizeJob, Job, StepJob

HORIZON_S = 0.010
UNMEASURED_S = HORIZON_S
"""A class nobody has run yet is taken for slow: its first step travels alone."""
BATCH_BYTES = 4 * 1024 * 1024
OVERDUE_S = 0.030
_ASK_AGAIN_S = 1.0
AHEAD_S = 0.2
_MOST_AHEAD = 128
_LEARNING = 0.3


class QueuedJob(NamedTuple):
    """A job and what the pool needs to know of it; ``size`` in bytes."""

    job: Job
    queue: str
    action_class: str
    size: int
    limits: Limits | None = None
    """What the call may take. One that has limits travels alone: its time is its own."""

    @property
    def plan_id(self) -> str:
        return self.job.plan_id


class _Waiting(NamedTuple):
    """A job, and since when it waits (steady clock)."""

    item: QueuedJob
    since: float


class Assignment(NamedTuple):
    """Jobs for one worker, numbered in the order it will begin them."""

    worker_id: str
    numbered: list[tuple[int, QueuedJob]]


class Leftover(NamedTuple):
    """What a worker that died held: the job it had begun (or finished unreported), and the others."""

    begun: list[QueuedJob]
    not_begun: list[QueuedJob]


class _Worker:
    """What one worker holds."""

    __slots__ = (
        "asked_at",
        "asked_back",
        "busy_since",
        "expected_s",
        "given_back",
        "held",
        "id",
        "last_number",
        "queue",
        "resting",
        "size",
    )

    def __init__(self, worker_id: str, queue: str) -> None:
        self.id = worker_id
        self.queue = queue
        self.held: dict[int, QueuedJob] = {}
        self.expected_s = 0.0
        self.size = 0
        self.last_number = 0
        self.given_back = 0
        self.busy_since = 0.0
        self.asked_back, self.asked_at = 0, 0.0
        """The last job it held when it was asked to give some back, and when that was."""
        self.resting = False


class Pool:
    """Waiting jobs by queue, and what each worker holds. Owned by the core's thread."""

    def __init__(self, pools: Mapping[str, int], max_credit: int) -> None:
        self._sizes = dict(pools)
        self._queues: dict[str, JobQueue[_Waiting]] = {name: JobQueue() for name in pools}
        self.waits: dict[str, Spread] = {name: Spread(SECONDS) for name in pools}
        """By queue: how long jobs waited for a worker that had time for them."""
        self._fallback = DEFAULT_QUEUE if DEFAULT_QUEUE in pools else next(iter(pools), DEFAULT_QUEUE)
        self._workers: dict[str, _Worker] = {}
        self._costs: dict[str, float] = {}
        self._usual_s = UNMEASURED_S
        self._max_credit = max_credit

    # -- workers -----------------------------------------------------------------------------------

    def add_worker(self, worker_id: str, queue: str) -> None:
        """A worker is ready for jobs of its queue."""
        self._workers[worker_id] = _Worker(worker_id, queue)

    def remove_worker(self, worker_id: str, begun: int) -> Leftover:
        """A worker is gone; ``begun`` is the number of the last job it began."""
        worker = self._workers.pop(worker_id, None)
        held = {} if worker is None else worker.held
        return Leftover(
            [item for number, item in held.items() if number <= begun],
            [item for number, item in held.items() if number > begun],
        )

    def given(self, worker_id: str) -> int:
        """How many jobs a worker was given so far, those that it gave back included."""
        worker = self._workers.get(worker_id)
        return 0 if worker is None else worker.last_number

    def done(self, worker_id: str) -> int:
        """How many jobs a worker has answered for."""
        worker = self._workers.get(worker_id)
        return 0 if worker is None else worker.last_number - worker.given_back - len(worker.held)

    def since(self, worker_id: str) -> float:
        """When a worker ended its last job, or was given its first one (steady clock); 0: it was given none."""
        worker = self._workers.get(worker_id)
        return 0.0 if worker is None else worker.busy_since

    def first_of(self, worker_id: str) -> QueuedJob | None:
        """What a worker begins next, or is at, of what it holds."""
        worker = self._workers.get(worker_id)
        return None if worker is None else next(iter(worker.held.values()), None)

    def rest(self, worker_id: str) -> None:
        """A worker gets nothing more, for the time being."""
        if worker_id in self._workers:
            self._workers[worker_id].resting = True

    def go_on(self, worker_id: str) -> None:
        """It may be given jobs again."""
        if worker_id in self._workers:
            self._workers[worker_id].resting = False

    def retire(self, worker_id: str) -> None:
        """A worker gets nothing more for ever: another has its place."""
        self.rest(worker_id)

    def holds(self, worker_id: str) -> int:
        """How many jobs this worker has, sent and not answered."""
        worker = self._workers.get(worker_id)
        return 0 if worker is None else len(worker.held)

    @property
    def busy(self) -> list[str]:
        """Workers that hold jobs."""
        return [worker.id for worker in self._workers.values() if worker.held]

    @property
    def batching(self) -> list[str]:
        """Workers that hold more than one job."""
        return [worker.id for worker in self._workers.values() if len(worker.held) > 1]

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return sum(map(len, self._queues.values()))

    @property
    def enough(self) -> int:
        """How many jobs should wait at least, so that no worker runs dry: about what they do in ``AHEAD_S``."""
        workers = len(self._workers)
        return max(2 * workers, min(_MOST_AHEAD, int(AHEAD_S * workers / max(self._usual_s, 1e-6))))

    @property
    def in_flight(self) -> int:
        """How many jobs are with workers."""
        return sum(len(worker.held) for worker in self._workers.values())

    # -- jobs --------------------------------------------------------------------------------------

    def add(self, item: QueuedJob, now: float) -> bool:
        """Queue a job, at ``now`` of the steady clock; False when its queue is unknown here and the default one takes it."""
        self._of(item.queue).add(item.plan_id, _Waiting(item, now))
        return item.queue in self._queues

    def _of(self, queue: str) -> JobQueue[_Waiting]:
        known = self._queues.get(queue)
        return known if known is not None else self._queues[self._fallback]

    def put_back(self, items: Iterable[QueuedJob], now: float) -> None:
        """Queue jobs again that were out already, before their plans' others."""
        by_place: dict[tuple[str, str], list[_Waiting]] = {}
        for item in items:
            by_place.setdefault((item.queue, item.plan_id), []).append(_Waiting(item, now))
        for (queue, plan_id), jobs in by_place.items():
            self._of(queue).put_back(plan_id, jobs)

    def withdraw(self, plan_id: str) -> None:
        """Forget a plan's waiting steps. Its errands stay: they are no part of its run."""
        for queue in self._queues.values():
            for waiting in queue.withdraw(plan_id):
                if isinstance(waiting.item.job, Errand):
                    queue.add(plan_id, waiting)

    def assign(self, now: float) -> list[Assignment]:
        """Give waiting jobs to workers with credit; ``now`` in seconds of a steady clock."""
        assignments: list[Assignment] = []
        for name, queue in self._queues.items():
            if queue:
                assignments += self._assign_queue(queue, self._free_workers(name), self.waits[name], now)
        return assignments

    def _free_workers(self, queue: str) -> list[_Worker]:
        """The queue's workers, those with the least to do first."""
        workers = [
            worker for worker in self._workers.values() if worker.queue == queue and not worker.resting
        ]
        workers.sort(key=lambda worker: worker.expected_s)
        return workers

    def _assign_queue(
        self, queue: JobQueue[_Waiting], workers: list[_Worker], waits: Spread, now: float
    ) -> list[Assignment]:
        chosen: dict[str, list[tuple[int, QueuedJob]]] = {}
        fair_share = -(-len(queue) // len(workers)) if workers else 0
        for worker in workers:
            given = self._fill(worker, queue, fair_share, waits, now)
            if given:
                chosen[worker.id] = given
        return [Assignment(worker_id, given) for worker_id, given in chosen.items()]

    def _fill(
        self, worker: _Worker, queue: JobQueue[_Waiting], most: int, waits: Spread, now: float
    ) -> list[tuple[int, QueuedJob]]:
        given: list[tuple[int, QueuedJob]] = []
        held, costs = worker.held, self._costs
        if not held:
            worker.busy_since = now
        while len(given) < most and len(held) < self._max_credit:
            waiting = queue.peek()
            if waiting is None:
                break
            item, since = waiting
            cost = costs.get(item.action_class, UNMEASURED_S) if item.limits is None else UNMEASURED_S
            too_much = worker.expected_s + cost > HORIZON_S or worker.size + item.size > BATCH_BYTES
            if held and too_much:
                break
            queue.pop()
            waits.add(now - since)
            worker.last_number += 1
            worker.expected_s += cost
            worker.size += item.size
            held[worker.last_number] = item
            given.append((worker.last_number, item))
        return given

    # -- answers -----------------------------------------------------------------------------------

    def job_of(self, worker_id: str, number: int) -> QueuedJob | None:
        """What a worker has under this number; None if it is not with it (any more)."""
        worker = self._workers.get(worker_id)
        return None if worker is None else worker.held.get(number)

    def finished(self, worker_id: str, number: int, execution_time: float, now: float) -> QueuedJob | None:
        """A worker answered for a job; None if it did not hold it."""
        worker = self._workers.get(worker_id)
        item = None if worker is None else worker.held.pop(number, None)
        if worker is None or item is None:
            return None
        self._usual_s += _LEARNING * (execution_time - self._usual_s)
        known = self._costs.get(item.action_class)
        if item.limits is not None:
            known = None
        elif known is None:
            self._costs[item.action_class] = execution_time
        else:
            self._costs[item.action_class] = known + _LEARNING * (execution_time - known)
        self._release(worker, item, known)
        worker.busy_since = now
        return item

    def returned(self, worker_id: str, numbers: Iterable[int]) -> list[QueuedJob]:
        """A worker gave jobs back that it had not begun."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return []
        items: list[QueuedJob] = []
        for number in numbers:
            item = worker.held.pop(number, None)
            if item is not None:
                self._release(worker, item, self._costs.get(item.action_class))
                worker.given_back += 1
                items.append(item)
        return items

    def holder_of(self, plan_id: str, step_id: int) -> tuple[str, int] | None:
        """The worker that has a plan's step (0: its finalize phase), and the job's number; None if nobody has."""
        for worker in self._workers.values():
            for number, item in worker.held.items():
                job = item.job
                if job.plan_id == plan_id and not isinstance(job, Errand) and _step_id_of(job) == step_id:
                    return worker.id, number
        return None

    def _release(self, worker: _Worker, item: QueuedJob, cost: float | None) -> None:
        worker.size -= item.size
        if worker.held:
            worker.expected_s = max(0.0, worker.expected_s - (UNMEASURED_S if cost is None else cost))
        else:
            worker.expected_s = 0.0

    def overdue(self, now: float) -> list[str]:
        """Workers that hold more than the job they are busy with for too long, while others idle.

        Each is named again only when it was given more since, or after some time: one that stands still answers nobody.
        """
        found = [
            worker
            for worker in self._workers.values()
            if len(worker.held) > 1 and now - worker.busy_since > OVERDUE_S and self._idle(worker.queue)
        ]
        asked = [
            worker
            for worker in found
            if worker.last_number != worker.asked_back or now - worker.asked_at >= _ASK_AGAIN_S
        ]
        for worker in asked:
            worker.asked_back, worker.asked_at = worker.last_number, now
        return [worker.id for worker in asked]

    def _idle(self, queue: str) -> bool:
        return any(
            not worker.held and not worker.resting
            for worker in self._workers.values()
            if worker.queue == queue
        )

    # -- looking in --------------------------------------------------------------------------------

    def free_slots(self) -> dict[str, int]:
        """Per queue: workers without a job, less what waits already. Any thread may ask; it is a snapshot."""
        workers = list(self._workers.values())  # at once: the core's thread adds and removes them meanwhile
        return {
            name: max(
                0,
                sum(
                    1 for worker in workers if worker.queue == name and not worker.held and not worker.resting
                )
                - len(queue),
            )
            for name, queue in self._queues.items()
        }

    def status(self, plan_id: str | None = None) -> dict[str, dict[str, int]]:
        """Per queue: ``pool_size``, ``free_workers``, ``queue_size`` (of one plan where given)."""
        return {
            name: {
                "pool_size": self._sizes[name],
                "free_workers": sum(
                    1
                    for worker in self._workers.values()
                    if worker.queue == name and not worker.held and not worker.resting
                ),
                "queue_size": len(queue) if plan_id is None else queue.size_of(plan_id),
            }
            for name, queue in self._queues.items()
        }


def queued(job: Job, queue: str, limits: Limits | None = None) -> QueuedJob:
    """A job as the pool keeps it."""
    if isinstance(job, FinalizeJob):
        return QueuedJob(job, queue, "", sum(len(part.input) for part in job.parts))
    if isinstance(job, Errand):
        # What it costs has nothing to do with what the class's steps cost.
        return QueuedJob(job, queue, f"{job.kind} {job.action_class}", len(job.data), limits)
    return QueuedJob(job, queue, job.action_class, _size(job), limits)


def _step_id_of(job: StepJob | FinalizeJob) -> int:
    return job.step_id if isinstance(job, StepJob) else 0


def _size(job: StepJob) -> int:
    size = len(job.input)
    if job.output is not None:
        size += len(job.output)
    if job.producers:
        size += sum(map(len, job.producers.values()))
    return size
