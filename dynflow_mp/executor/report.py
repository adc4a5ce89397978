"""What an executor's core knows of its workers, put together when somebody asks: no file is read, nobody is waited for."""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.executor.pool import Pool, QueuedJob
from dynflow_mp.executor.staffing import Staffing
from dynflow_mp.executor.workforce import Workforce
from dynflow_mp.model.throughput import Throughput
from dynflow_mp.model.work import Errand, FinalizeJob
from dynflow_mp.model.workers_report import QueueFacts, WorkerFacts, WorkersReport, WorkerState, moment

MOST_WORKERS = 2_000
"""More do not fit into what a message may have; queues tell of all of them."""
_MICRO = 1_000_000


class Clocks(NamedTuple):
    """One moment: on the steady clock (seconds), and in microseconds UTC."""

    steady: float
    utc_us: int

    def wall(self, steady: float) -> int:
        """When that was, in microseconds UTC."""
        return self.utc_us - int((self.steady - steady) * _MICRO)


class _At(NamedTuple):
    """What a worker is at."""

    plan_id: str | None = None
    step_id: int | None = None
    action_class: str | None = None
    errand: str | None = None


def report(
    world_id: str,
    pool: Pool,
    staffing: Staffing,
    processes: Workforce,
    clocks: Clocks,
    started_us: int,
    running_plans: int,
    done: Throughput,
) -> WorkersReport:
    """On the core's thread. Some ten microseconds for each worker."""
    living = list(staffing.turnover.living)[:MOST_WORKERS]
    return WorkersReport(
        world_id,
        moment(clocks.utc_us),
        moment(started_us),
        staffing.degraded,
        running_plans,
        tuple(_queues(pool, staffing)),
        tuple(_worker(one, pool, staffing, processes, clocks) for one in living),
        done,
    )


def _queues(pool: Pool, staffing: Staffing) -> list[QueueFacts]:
    turnover = staffing.turnover
    return [
        QueueFacts(
            name,
            facts["pool_size"],
            facts["free_workers"],
            facts["queue_size"],
            turnover.restarts(name),
            turnover.deaths(name),
            turnover.recycled(name),
        )
        for name, facts in pool.status().items()
    ]


def _worker(
    worker_id: str, pool: Pool, staffing: Staffing, processes: Workforce, clocks: Clocks
) -> WorkerFacts:
    queue, started, ready = staffing.turnover.living[worker_id]
    holds = pool.holds(worker_id)
    state = _state(ready, staffing.leaves(worker_id), holds)
    begun, use = processes.begun(worker_id), processes.use(worker_id)
    at = _what(pool.job_of(worker_id, begun) or pool.first_of(worker_id))
    return WorkerFacts(
        worker_id,
        processes.pids.get(worker_id),
        queue,
        state,
        *at,
        moment(clocks.wall(_since(worker_id, state, started, pool, processes, begun))),
        use.resident or None,
        round(max(0.0, clocks.steady - started), 3),
        pool.done(worker_id),
        use.peak or None,
    )


def _state(ready: bool, leaves: bool, holds: int) -> WorkerState:
    if not ready:
        return WorkerState.STARTING
    if leaves:
        return WorkerState.LEAVING
    return WorkerState.BUSY if holds else WorkerState.IDLE


def _since(
    worker_id: str, state: WorkerState, started: float, pool: Pool, processes: Workforce, begun: int
) -> float:
    """Since when it is so (steady clock)."""
    if state is WorkerState.STARTING:
        return started
    if pool.job_of(worker_id, begun) is not None and (begun_at := processes.begun_at(worker_id)):
        return begun_at
    return pool.since(worker_id) or started


def _what(item: QueuedJob | None) -> _At:
    if item is None:
        return _At()
    job = item.job
    if isinstance(job, Errand):
        return _At(job.plan_id, None, job.action_class, job.kind)
    if isinstance(job, FinalizeJob):
        return _At(job.plan_id, job.parts[0].step_id, job.root_class or job.parts[0].action_class)
    return _At(job.plan_id, job.step_id, job.action_class)
