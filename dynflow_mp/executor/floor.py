"""Where steps get done: what waits, who is there, who does what.

Puts together the shelf (what ready steps still need), the pool (who gets which job), the crew (whose
place is to be filled) and the worker processes, and turns their news into stimuli for the director.

    ready ─▶ shelf ─▶ pool ─▶ assigned ─(commit)─▶ sent ─▶ worker ─▶ news ─▶ stimuli
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Event
from typing import Any

from dynflow_mp.clock import monotonic, now_us
from dynflow_mp.director.instructions import ReadyEvent, ReadyFinalize, ReadySteps, StopStep
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import ChunksWritten, FinalizeFinished, StepFinished, StepLost, Stimulus
from dynflow_mp.executor.counts import Counts
from dynflow_mp.executor.enforcement import EndedBy, Enforcement
from dynflow_mp.executor.errands import Errands
from dynflow_mp.executor.lease import Lease
from dynflow_mp.executor.news import (
    ChunksCame,
    StartFailed,
    WorkerDied,
    WorkerReady,
    WorkFinished,
    WorkReturned,
)
from dynflow_mp.executor.pool import Assignment, Pool, QueuedJob
from dynflow_mp.executor.reader import PageFailed, PlanLoaded
from dynflow_mp.executor.report import Clocks, report
from dynflow_mp.executor.shelf import WINDOW, PageWanted, PayloadPage, Shelf
from dynflow_mp.executor.staffing import Staffing, StaffSettings
from dynflow_mp.executor.standstills import STOOD_S, Standstills
from dynflow_mp.executor.tidings import announced, certified, returned, stays_here, stopped, unreadable
from dynflow_mp.executor.wire import Outcome
from dynflow_mp.executor.workforce import Workforce
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.model.stops import EXECUTOR_ENDED, STOOD_STILL
from dynflow_mp.model.work import Errand, ErrandOutcome, ErrorRecord, FinalizeJob, StepJob, StepOutcome
from dynflow_mp.model.workers_report import WorkersReport
from dynflow_mp.model.writes import SavePlan
from dynflow_mp.telemetry import logger

log = logger("executor.floor")

_STOOD = f"its worker was stopped by a signal and stood still for {STOOD_S:g} s"
_ENDED = "its executor ended, and the time that running steps had for that was over"


class Floor:
    """Owned by the core's thread. ``complete`` is set once the first crew has said hello."""

    def __init__(
        self,
        processes: Workforce,
        staff: StaffSettings,
        max_credit: int,
        complete: Event,
        errand_timeout_s: float | None = None,
        lease: Lease | None = None,
    ) -> None:
        pools = staff.pools
        self._processes = processes
        self._lease = lease or Lease(None)
        self._pool = Pool(pools, max_credit)
        # Enough that one plan can fill every worker's credit while the next page is on its way.
        self._shelf = Shelf(max(WINDOW, 2 * max_credit * sum(pools.values())))
        self._staffing = Staffing(processes, staff, complete, self._pool.given)
        self.errands = Errands(errand_timeout_s)
        """What workers do that is no step."""
        self.counts = Counts()
        """What was done here, for whoever watches."""
        self._enforcement = Enforcement(processes)
        self._standstills = Standstills()
        self._assigned: list[Assignment] = []
        self._started_us = now_us()
        self._pids: dict[str, int] = {}
        """Of workers from when they said hello until their last word was heard."""
        self._draining = False
        self._time_is_over = False
        """What is still with workers is being made to end: an errand that fails now is left for another executor."""
        self._hearers: dict[type, Callable[[Any], list[Stimulus]]] = {
            WorkFinished: self._work_finished,
            ChunksCame: self._chunks_came,
            WorkReturned: self._work_returned,
            WorkerReady: self._worker_ready,
            WorkerDied: self._worker_died,
            StartFailed: self._start_failed,
        }

    def start(self) -> None:
        """Start the first crew."""
        self._staffing.start()

    # -- plans -------------------------------------------------------------------------------------

    def open_plan(self, loaded: PlanLoaded) -> None:
        """A plan has come in; its steps may become ready."""
        self._shelf.open(loaded.skeleton, loaded.payloads)

    def close_plan(self, plan_id: str) -> None:
        """The plan is over here: nothing of it that still waits will be sent."""
        self._shelf.close(plan_id)
        self._pool.withdraw(plan_id)

    def withdraw(self, plan_id: str) -> None:
        """Nothing of the plan that still waits will be sent; what is with workers goes on."""
        self._shelf.withdraw(plan_id)
        self._pool.withdraw(plan_id)

    def leaves(self, write: SavePlan) -> None:
        """A plan is to be stopped or paused, by what this turn stores."""
        self.counts.leaves(self._shelf.root_class(write.plan_id), write)

    def ready(self, order: ReadySteps | ReadyEvent | ReadyFinalize) -> None:
        """Steps may run."""
        if isinstance(order, ReadySteps):
            self._shelf.ready(order.plan_id, order.step_ids)
        elif isinstance(order, ReadyEvent):
            self._shelf.ready_event(order.plan_id, order.step_id, order.data)
        else:
            self._shelf.ready_finalize(order.plan_id, order.step_ids)

    def page(self, page: PayloadPage) -> list[Stimulus]:
        """The reader brought what steps need."""
        missing = self._shelf.arrived(page)
        if not missing:
            return []
        return unreadable(page.wanted, missing, "its action is not in the database")

    def page_failed(self, news: PageFailed) -> list[Stimulus]:
        """The reader could not bring what steps need."""
        self._shelf.unavailable(news.wanted)
        return unreadable(news.wanted, list(news.wanted.step_ids), news.reason)

    # -- out ---------------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether :meth:`assign` has something to do at once."""
        return self._shelf.pending or self.errands.pending

    def assign(self, now: float) -> tuple[list[Stimulus], list[PageWanted]]:
        """Choose who gets what: the steps to be marked, and what to ask the reader for."""
        jobs, wanted = self._shelf.take()
        for item in (*jobs, *self.errands.take()):
            if not self._pool.add(item, now):
                log.warning(
                    "no queue %r here, the default one takes the step",
                    item.queue,
                    extra={"action": "unknown_queue", "plan_id": item.plan_id},
                )
        if self._draining or not self._may_begin():
            return [], wanted
        self._assigned = self._pool.assign(now)
        return announced(self._assigned), wanted

    def _may_begin(self) -> bool:
        """Not while others may take our plans over; and whoever begins something has a guardian that knows until when."""
        self._processes.renew_deadline(self._lease.until)
        return self._lease.holds

    def send(self, lost: Collection[str]) -> None:
        """Send what was assigned, now that its marks are stored; ``lost`` plans' jobs stay here."""
        assigned, self._assigned = self._assigned, []
        for assignment in assigned:
            numbered = assignment.numbered
            if lost:
                withheld = [number for number, item in numbered if stays_here(item, lost)]
                self._pool.returned(assignment.worker_id, withheld)
                numbered = [entry for entry in numbered if not stays_here(entry[1], lost)]
            if numbered:
                jobs = [(number, item.job) for number, item in numbered]
                self._processes.send(assignment.worker_id, jobs)
                number, first = numbered[0]  # one that has limits comes alone
                if first.limits is not None:
                    self._enforcement.sent(assignment.worker_id, number, first.limits, monotonic())

    # -- in ----------------------------------------------------------------------------------------

    def hear(self, ready: Mapping[Any, int]) -> list[Stimulus]:
        """What workers have to say, given the poller's results."""
        stimuli: list[Stimulus] = []
        for news in self._processes.hear(ready):
            stimuli += self._hearers[type(news)](news)
        return stimuli

    def _work_finished(self, news: WorkFinished) -> list[Stimulus]:
        stimuli: list[Stimulus] = []
        now = monotonic()
        outcomes, pid = news.outcomes, self._pids.get(news.worker_id)
        if self._enforcement:
            outcomes = self._certified(news)
        for number, outcome in outcomes:
            if type(outcome) is StepOutcome:
                item = self._pool.finished(news.worker_id, number, outcome.execution_time, now)
                if item is not None:
                    stimuli.append(self._step_finished(item.job, outcome, pid))
            elif type(outcome) is ErrandOutcome:
                item = self._pool.finished(news.worker_id, number, outcome.execution_time, now)
                if item is not None and isinstance(item.job, Errand) and not self._interrupted(outcome):
                    stimuli += self.errands.finished(item.job, outcome)
            else:
                parts: Any = tuple(outcome)
                spent_s = sum(part.execution_time for part in parts)
                item = self._pool.finished(news.worker_id, number, spent_s, now)
                if item is not None:
                    self._count_finalized(item.job, parts)
                    stimuli.append(FinalizeFinished(item.plan_id, parts, pid))
        return stimuli

    def _count_finalized(self, job: Any, outcomes: Sequence[StepOutcome]) -> None:
        for part, outcome in zip(job.parts, outcomes, strict=False):  # the first failure is the last part
            self.counts.step(part.action_class, Phase.FINALIZE, outcome.state, outcome.execution_time)

    def _interrupted(self, outcome: ErrandOutcome) -> bool:
        """Whether it may have failed only because this executor ends: who asked hears that it was not done."""
        return self._time_is_over and outcome.error is not None

    def _certified(self, news: WorkFinished) -> list[tuple[int, Outcome]]:
        """The outcomes; those of jobs that were being stopped with a certificate, if that is what they ended of."""
        stopped = self._enforcement.over(news.worker_id, [number for number, _ in news.outcomes])
        return [
            (number, outcome)
            if number not in stopped
            else (number, self._with_certificate(news.worker_id, number, outcome, stopped[number]))
            for number, outcome in news.outcomes
        ]

    def _with_certificate(self, worker_id: str, number: int, outcome: Outcome, ended_by: EndedBy) -> Outcome:
        certificate = self._processes.certificate(worker_id, number, ended_by.cause, ended_by.message)
        if isinstance(outcome, ErrandOutcome):
            return outcome
        if isinstance(outcome, StepOutcome):
            return outcome._replace(error=certified(outcome.error, certificate))
        return tuple(part._replace(error=certified(part.error, certificate)) for part in outcome)

    def _step_finished(self, job: Any, outcome: StepOutcome, pid: int | None) -> Stimulus:
        if self._draining and outcome.state is StepState.ERROR and outcome.error is not None:
            error = ErrorRecord.from_bytes(outcome.error)
            if (
                error.cause == EXECUTOR_ENDED
            ):  # the same as if it had not listened, and its worker had been killed
                self._shelf.finished(job.plan_id, job.action_id, StepState.ERROR, None)
                said = error.cause, error.message, error.backtrace, error.certificate
                return StepLost(job.plan_id, job.step_id, 0, *said, pid)
        output = job.output if outcome.output is None else outcome.output
        self.counts.step(job.action_class, Phase.RUN, outcome.state, outcome.execution_time)
        self._shelf.finished(job.plan_id, job.action_id, outcome.state, output)
        return StepFinished(job.plan_id, job.attempt, outcome, pid)

    def _chunks_came(self, news: ChunksCame) -> list[Stimulus]:
        """Heard of before the outcome, so that the worker may forget them; those of a job it does not have are nobody's."""
        self._processes.chunks_heard(news.worker_id, news.job_number, news.chunks[-1].number)
        item = self._pool.job_of(news.worker_id, news.job_number)
        if item is None or type(item.job) is not StepJob or item.job.step_id != news.step_id:
            return []
        return [ChunksWritten(item.plan_id, news.step_id, item.job.attempt, news.chunks)]

    def _work_returned(self, news: WorkReturned) -> list[Stimulus]:
        self._enforcement.over(news.worker_id, news.job_numbers)
        return self._take_back(self._pool.returned(news.worker_id, news.job_numbers))

    def _take_back(self, items: list[QueuedJob]) -> list[Stimulus]:
        """Jobs that were sent and never begun: as if they had not been sent."""
        kept = [item for item in items if isinstance(item.job, Errand) or self._shelf.knows(item.plan_id)]
        sent = [item for item in kept if isinstance(item.job, Errand) or self._shelf.sends(item.plan_id)]
        self._pool.put_back(sent, monotonic())
        return returned(items)

    # -- workers come and go -----------------------------------------------------------------------

    def _worker_ready(self, news: WorkerReady) -> list[Stimulus]:
        self._pool.add_worker(news.worker_id, news.queue)
        self._pids[news.worker_id] = news.pid
        log.info(
            "worker ready",
            extra={"action": "worker_ready", "worker": news.worker_id, "pid": news.pid},
        )
        old = self._staffing.ready(news)
        if old is not None:
            self._pool.retire(old)
            self._processes.retire(old)
        return []

    def _worker_died(self, news: WorkerDied) -> list[Stimulus]:
        leftover = self._pool.remove_worker(news.worker_id, news.begun)
        ended_by = self._enforcement.died(news.worker_id, news.begun)
        lost: list[Stimulus] = []
        certificate = news.certificate
        for item in leftover.begun[:-1]:  # finished, and its outcome died with the worker
            lost += self._lost(item, news, ended_by, certificate and certificate.without_last_words())
        for item in leftover.begun[-1:]:
            lost += self._lost(item, news, ended_by, certificate)
        self._pids.pop(news.worker_id, None)
        if ended_by is not None and lost and not isinstance(leftover.begun[-1].job, Errand):
            lost[-1] = stopped(lost[-1], ended_by, news)
        if not self._draining:
            self._say_died(news)
            self._staffing.ended(news, by_us=ended_by is not None)
        return [*lost, *self._take_back(leftover.not_begun)]

    def _say_died(self, news: WorkerDied) -> None:
        level = logging.INFO if self._staffing.leaves(news.worker_id) else logging.WARNING
        facts = {"action": "worker_died", "worker": news.worker_id, "cause": news.cause}
        log.log(level, "%s", news.message, extra=facts)

    def _lost(
        self, item: QueuedJob, news: WorkerDied, ended_by: EndedBy | None, certificate: Certificate | None
    ) -> Sequence[Stimulus]:
        """A job that its worker had begun, or finished without saying so."""
        job, pid = item.job, self._pids.get(news.worker_id)
        if isinstance(job, Errand):
            if self._time_is_over:
                return ()  # not done, as all that never went to a worker
            if ended_by is None:
                return self.errands.died(item, job, news.cause, news.message)
            return self.errands.died(item, job, ended_by.cause, ended_by.message, ended=True)
        stack = () if certificate is None else certificate.stack
        if isinstance(job, FinalizeJob):
            part = job.parts[min(max(news.part, 0), len(job.parts) - 1)]
            self.counts.step(part.action_class, Phase.FINALIZE, StepState.ERROR, None)
            said = FINALIZE, news.part, news.cause, news.message, stack, certificate, pid
            return [StepLost(job.plan_id, *said)]
        self.counts.step(job.action_class, Phase.RUN, StepState.ERROR, None)
        self._shelf.finished(job.plan_id, job.action_id, StepState.ERROR, None)
        return [StepLost(job.plan_id, job.step_id, 0, news.cause, news.message, stack, certificate, pid)]

    def _start_failed(self, news: StartFailed) -> list[Stimulus]:
        old = self._staffing.failed_to_start(news, replace=not self._draining)
        if old is not None:
            self._pool.go_on(old)
        return []

    def look_after(self, now: float) -> None:
        """Fill places whose time has come; take back what waits behind a step that turned out slow."""
        if self._enforcement:
            self._enforcement.enforce(now)
        for worker_id in self._pool.overdue(now):
            self._processes.recall(worker_id)
        for worker_id in self._standstills.over(now, self._processes.pids):
            self._end_standstill(worker_id, now)
        self._staffing.fill(now, replace=not self._draining)
        if not self._draining:
            for worker_id in self._staffing.recycle(now):
                self._pool.rest(worker_id)
        self._processes.renew_deadline(self._lease.until)

    def _end_standstill(self, worker_id: str, now: float) -> None:
        number = self._processes.begun(worker_id)
        if self._pool.job_of(worker_id, number) is None:
            log.warning("%s", _STOOD, extra={"action": "worker_stood_still", "worker": worker_id})
            self._processes.kill(worker_id)
        else:
            self._enforcement.stop(worker_id, number, STOOD_STILL, _STOOD, now, at_once=True)

    @property
    def degraded(self) -> str | None:
        """Why nothing new is to be taken on; None while all is well."""
        return self._staffing.degraded

    @property
    def next_due(self) -> float | None:
        """When a place is to be filled (steady clock); None while none waits."""
        return self._staffing.next_due

    def patience(self, now: float, longest: float, watch: float) -> float:
        """How long nothing needs looking after (seconds), ``watch`` at most while a worker holds a batch."""
        longest = self._staffing.wait(now, watch if self._pool.batching else longest)
        return self._enforcement.wait(now, longest) if self._enforcement else longest

    # -- steps that are not to go on ---------------------------------------------------------------

    def stop_step(self, order: StopStep) -> None:
        """Stop a step that was sent, whatever it does; what came of it is news like all other."""
        found = self._pool.holder_of(order.plan_id, order.step_id)
        if found is not None:
            self._enforcement.stop(*found, order.cause, order.message, monotonic())

    # -- ending ------------------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """Send nothing more; ask back what was not begun."""
        self._draining = True
        for worker_id in self._pool.batching:
            self._processes.recall(worker_id)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return self._pool.waiting

    @property
    def enough(self) -> int:
        """How many jobs should wait at least, so that no worker runs dry."""
        return self._pool.enough

    @property
    def busy(self) -> bool:
        """Whether anything is still with workers."""
        return bool(self._pool.in_flight)

    def stop_busy(self) -> None:
        """Steps that still run have had their time: they are told to end, and soon made to."""
        self._time_is_over = True
        now = monotonic()
        for worker_id in self._pool.busy:
            self._processes.recall(worker_id)
            number = self._processes.begun(worker_id)
            if self._pool.job_of(worker_id, number) is not None:
                self._enforcement.stop(worker_id, number, EXECUTOR_ENDED, _ENDED, now)

    def kill_busy(self) -> None:
        """Whoever still works has had its time."""
        self._time_is_over = True
        for worker_id in self._pool.busy:
            self._processes.kill(worker_id)

    def stop(self) -> None:
        """End all workers."""
        try:
            self._processes.stop(0.0)
        finally:
            self.errands.give_up()

    # -- looking in --------------------------------------------------------------------------------

    @property
    def pids(self) -> dict[str, int]:
        """Worker processes by worker id."""
        return dict(self._processes.pids)

    def free_slots(self) -> dict[str, int]:
        """Per queue: how many more steps could begin at once."""
        return self._pool.free_slots()

    def report(self, world_id: str, running_plans: int) -> WorkersReport:
        """The workers, what each is at, and what became of others."""
        clocks = Clocks(monotonic(), now_us())
        return report(
            world_id,
            self._pool,
            self._staffing,
            self._processes,
            clocks,
            self._started_us,
            running_plans,
            self.counts.told(self._pool.waits),
        )

    def status(self, plan_id: str | None) -> dict[str, dict[str, int]]:
        """Per queue: ``pool_size``, ``free_workers``, ``queue_size``."""
        return self._pool.status(plan_id)
