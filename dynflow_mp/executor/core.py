"""The turn: hear, decide, commit, emit. One thread owns all that runs plans in an executor world.

    hear    workers' socket, deaths, the bell (other threads' notes), due timers
    decide  director, shelf and pool – all pure – name what to write and what to send
    commit  every write of the turn in one transaction, the fence first
    emit    only now: jobs to workers, answers to worlds, questions to the reader

Nothing leaves before its cause is stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread, get_ident
from time import monotonic
from typing import Any, NamedTuple, Protocol

import zmq

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.director import Director
from dynflow_mp.director.protocol import (
    FINALIZE,
    Answer,
    DrainBegun,
    DrainEnded,
    DropPlan,
    EventDue,
    FinalizeFinished,
    HandOver,
    LoadPlan,
    PlanArrived,
    PlanLost,
    ReadyEvent,
    ReadyFinalize,
    ReadySteps,
    SendEvent,
    StepFinished,
    StepLost,
    StepsReturned,
    StepsSent,
    Stimulus,
    WakeAt,
)
from dynflow_mp.errors import DynflowError, WorkerStartFailed
from dynflow_mp.executor.bell import Bell
from dynflow_mp.executor.crew import Crew, Post
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.executor.pool import Assignment, Pool, QueuedJob
from dynflow_mp.executor.processes import (
    Processes,
    StartFailed,
    WorkerDied,
    WorkerReady,
    WorkerSettings,
    WorkFinished,
    WorkReturned,
)
from dynflow_mp.executor.reader import PageFailed, PlanLoaded, Reader
from dynflow_mp.executor.shelf import Page, PageWanted, Shelf
from dynflow_mp.executor.timers import Timers
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import FinalizeJob, StepOutcome
from dynflow_mp.model.writes import (
    ClaimPlan,
    ForgetEvents,
    MarkRunning,
    RecordEvent,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence.store import Store
from dynflow_mp.telemetry import logger

log = logger("executor.core")

_IDLE_S = 1.0
_WATCH_S = 0.02
"""How often to look for workers that got stuck in front of other steps."""
_MOST_NOTES = 512
"""Notes of other threads taken in one turn: a turn is bounded."""
_OUTAGE_PATIENCE_S = 60.0
_KILL_PATIENCE_S = 5.0


class PingAsked(NamedTuple):
    """A world asks whether the core turns."""

    client_id: str
    request_id: str


class StatusAsked(NamedTuple):
    """A world asks how busy the pools are."""

    client_id: str
    request_id: str
    plan_id: str | None


Asked = Stimulus | PingAsked | StatusAsked | Envelope


class Border(Protocol):
    """Where envelopes become stimuli and answers become envelopes (the executor dispatcher)."""

    def hear(self, envelope: Envelope, now: int) -> list[Asked]:
        """What an envelope asks for; an Envelope in the list is an answer to send as it is."""

    def answer(self, answer: Answer) -> Envelope:
        """The envelope that carries an answer."""

    def status(self, asked: StatusAsked, queues: dict[str, dict[str, int]]) -> Envelope:
        """The envelope that answers a status request."""

    def pong(self, asked: PingAsked) -> Envelope:
        """The envelope that answers a ping."""

    def hand_over(self, order: HandOver) -> Envelope:
        """The envelope that asks another executor to go on."""


class _Stop(NamedTuple):
    """Drain, then end; running steps have until ``deadline`` (steady clock)."""

    deadline: float


class _Respawn(NamedTuple):
    """Fill a worker's place."""

    queue: str


_Note = Envelope | Stimulus | PlanLoaded | Page | PageFailed | _Stop
_Timed = EventDue | _Respawn


class CoreSettings(NamedTuple):
    """What a core needs to know."""

    world_id: str
    pools: Mapping[str, int]
    max_credit: int
    directory: Path
    workers: WorkerSettings


class Core:
    """An executor world's core. :meth:`start`, :meth:`post` and :meth:`stop` may be called from any thread;
    everything else belongs to the core's own thread, which lives as long as the workers do (their
    parent-death signal follows the thread that started them).
    """

    def __init__(
        self,
        settings: CoreSettings,
        store: Store,
        coordinator: Coordinator,
        border: Border,
        send: Callable[[Envelope], None],
        send_event: Callable[[SendEvent], None],
    ) -> None:
        self._settings = settings
        self._border = border
        self._send = send
        self._send_event = send_event
        self._director = Director(settings.world_id)
        self._pool = Pool(settings.pools, settings.max_credit)
        self._shelf = Shelf()
        self._crew = Crew(settings.pools)
        self._timers: Timers[_Timed] = Timers()
        self._reader = Reader(store, _holder_of(coordinator), self.post)
        self._ledger = Ledger(store, coordinator, self._keep_alive)
        self._bell = Bell()
        self._notes: deque[_Note] = deque()
        self._writes: list[Write] = []
        self._assigned: list[Assignment] = []
        self._after: list[Any] = []
        self._poller = zmq.Poller()
        self._processes: Processes | None = None
        self._draining: _Stop | None = None
        self._killed = False
        self._over = False
        self._ready = Event()
        self._ended = Event()
        self.failure: BaseException | None = None
        """What ended the core, when it was not asked to end."""
        self.last_turn = monotonic()
        """When the core last turned (steady clock); the lease is renewed only while it does."""
        self._thread = Thread(target=self._run, name="dynflow core", daemon=True)
        self._carriers = self._make_carriers()

    # -- any thread --------------------------------------------------------------------------------

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the workers and wait until each has said hello.

        Raises :class:`WorkerStartFailed` when one cannot start, and whatever else ended the core.
        """
        self._reader.start()
        self._thread.start()
        if not self._ready.wait(timeout_s):
            self.stop(0.0)
            raise WorkerStartFailed(None, f"the workers did not start within {timeout_s:g} s")
        if self.failure is not None:
            self._thread.join(timeout_s)
            raise self.failure

    def post(self, note: _Note) -> None:
        """Leave a note for the core; it is heard in the next turn."""
        self._notes.append(note)
        self._bell.ring()

    def stop(self, grace_s: float) -> None:
        """Take nothing new, let running steps end within ``grace_s``, give up the rest, end the workers.

        Twice is fine; before :meth:`start` too.
        """
        if self._thread.is_alive() and get_ident() != self._thread.ident:
            self.post(_Stop(monotonic() + grace_s))
            self._thread.join(grace_s + 2 * _KILL_PATIENCE_S + 10.0)
        self._reader.stop()

    def hurry(self, grace_s: float) -> None:
        """While stopping: give running steps only ``grace_s`` seconds more."""
        self.post(_Stop(monotonic() + grace_s))

    @property
    def ended(self) -> Event:
        """Set once the core's thread is over."""
        return self._ended

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id."""
        return {} if self._processes is None else dict(self._processes.pids)

    def free_slots(self) -> dict[str, int]:
        """Per queue, how many more plans could start at once; a snapshot, for advertising."""
        return self._pool.free_slots()

    # -- the core's thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._open()
            while not self._over:
                self._turn()
        except BaseException as error:
            # Whatever it was, whoever waits must hear of it; the world ends what is left.
            self.failure = error
            log.critical("the core ended", extra={"action": "core_failed"}, exc_info=error)
        finally:
            self._close()

    def _open(self) -> None:
        settings = self._settings
        self._poller.register(self._bell.fd, zmq.POLLIN)
        self._processes = Processes(settings.directory, settings.workers, self._poller)
        self._processes.start()
        for queue in self._crew.first_posts():
            self._spawn(queue)

    def _close(self) -> None:
        try:
            if self._processes is not None:
                self._processes.stop(0.0)
        finally:
            self._bell.close()
            self._ended.set()
            self._ready.set()

    def _turn(self) -> None:
        self._hear(self._patience())
        self._look_after_workers()
        self._serve()
        lost = self._commit()
        self._emit(lost)
        self._drain_on()
        self._keep_alive()

    def _keep_alive(self) -> None:
        self.last_turn = monotonic()
        self._workers.renew_deadline()

    @property
    def _workers(self) -> Processes:
        assert self._processes is not None, "the core is not open"
        return self._processes

    # -- hear --------------------------------------------------------------------------------------

    def _patience(self) -> float:
        """How long to wait for something to happen (seconds)."""
        if self._notes or self._shelf.pending:
            return 0.0
        longest = _WATCH_S if self._pool.batching or self._draining else _IDLE_S
        return self._timers.wait(monotonic(), longest)

    def _hear(self, patience_s: float) -> None:
        ready = dict(self._poller.poll(int(patience_s * 1000 + 0.999)))
        if self._bell.fd in ready:
            self._bell.silence()
        now = now_us()
        for news in self._workers.hear(ready):
            self._carriers[type(news)](news, now)
        for _ in range(min(_MOST_NOTES, len(self._notes))):
            note = self._notes.popleft()
            self._carriers[type(note)](note, now)
        for timed in list(self._timers.due(monotonic())):
            self._carriers[type(timed)](timed, now)

    def _decide(self, stimulus: Stimulus, now: int) -> None:
        for instruction in self._director.handle(stimulus, now):
            self._carriers[type(instruction)](instruction, now)

    def _make_carriers(self) -> dict[type, Callable[[Any, int], None]]:
        """What to do with each kind of news, note and instruction."""

        def write(instruction: Write, now: int) -> None:
            self._writes.append(instruction)

        def later(instruction: Any, now: int) -> None:
            self._after.append(instruction)

        carriers: dict[type, Callable[[Any, int], None]] = {
            # news of workers
            WorkFinished: self._work_finished,
            WorkReturned: self._work_returned,
            WorkerReady: self._worker_ready,
            WorkerDied: self._worker_died,
            StartFailed: self._start_failed,
            # notes of other threads
            Envelope: self._envelope,
            PlanLoaded: self._plan_loaded,
            Page: self._page,
            PageFailed: self._page_failed,
            _Stop: self._stop_asked,
            # times that have come
            _Respawn: lambda respawn, now: self._spawn(respawn.queue),
            # instructions
            ReadySteps: lambda order, now: self._shelf.ready(order.plan_id, order.step_ids),
            ReadyEvent: lambda order, now: self._shelf.ready_event(*order),
            ReadyFinalize: lambda order, now: self._shelf.ready_finalize(*order),
            DropPlan: self._drop_plan,
        }
        for kind in (
            ClaimPlan,
            SavePlan,
            MarkRunning,
            UnmarkRunning,
            ResetStep,
            SaveOutcome,
            RecordEvent,
            ForgetEvents,
        ):
            carriers[kind] = write
        for kind in (Answer, HandOver, LoadPlan, SendEvent, PingAsked, StatusAsked):
            carriers[kind] = later
        for kind in Stimulus.__args__:
            carriers.setdefault(kind, self._decide)
        carriers[WakeAt] = self._wake_later
        return carriers

    # -- news of workers ---------------------------------------------------------------------------

    def _work_finished(self, news: WorkFinished, now: int) -> None:
        steady = monotonic()
        finished = self._pool.finished
        for number, outcome in news.outcomes:
            if type(outcome) is StepOutcome:
                item = finished(news.worker_id, number, outcome.execution_time, steady)
                if item is not None:
                    self._step_outcome(item, outcome, now)
            else:
                spent_s = sum(part.execution_time for part in outcome)
                item = finished(news.worker_id, number, spent_s, steady)
                if item is not None:
                    self._decide(FinalizeFinished(item.job.plan_id, tuple(outcome)), now)

    def _step_outcome(self, item: QueuedJob, outcome: StepOutcome, now: int) -> None:
        job: Any = item.job
        output = job.output if outcome.output is None else outcome.output
        self._shelf.finished(job.plan_id, job.action_id, outcome.state, output)
        self._decide(StepFinished(job.plan_id, job.attempt, outcome), now)

    def _work_returned(self, news: WorkReturned, now: int) -> None:
        self._take_back(self._pool.returned(news.worker_id, news.job_numbers), now)

    def _take_back(self, items: list[QueuedJob], now: int) -> None:
        """Jobs that were sent and never begun: as if they had not been sent."""
        by_plan: dict[str, list[int]] = {}
        for item in items:
            if self._director.runs(item.plan_id):
                by_plan.setdefault(item.plan_id, []).append(_step_of(item))
        for plan_id, step_ids in by_plan.items():
            self._decide(StepsReturned(plan_id, step_ids), now)
        kept = [item for item in items if item.plan_id in by_plan]
        self._pool.put_back(kept)

    def _worker_ready(self, news: WorkerReady, now: int) -> None:
        self._pool.add_worker(news.worker_id, news.queue)
        self._crew.ready(news.worker_id)
        log.info(
            "worker ready",
            extra={"action": "worker_ready", "worker": news.worker_id, "pid": news.pid},
        )
        if self._crew.complete:
            self._ready.set()

    def _worker_died(self, news: WorkerDied, now: int) -> None:
        leftover = self._pool.remove_worker(news.worker_id, news.begun)
        for item in leftover.begun:
            self._lost(item, news, now)
        self._take_back(leftover.not_begun, now)
        if self._draining is None:
            log.warning(
                news.message,
                extra={"action": "worker_died", "worker": news.worker_id, "cause": news.cause},
            )
            self._refill(self._crew.ended(news.worker_id, news.queue, monotonic()))

    def _lost(self, item: QueuedJob, news: WorkerDied, now: int) -> None:
        """A job that its worker had begun, or finished without saying so."""
        job = item.job
        if isinstance(job, FinalizeJob):
            lost = StepLost(job.plan_id, FINALIZE, news.part, news.cause, news.message)
        else:
            self._shelf.finished(job.plan_id, job.action_id, StepState.ERROR, None)
            lost = StepLost(job.plan_id, job.step_id, 0, news.cause, news.message)
        self._decide(lost, now)

    def _start_failed(self, news: StartFailed, now: int) -> None:
        error = WorkerStartFailed(news.exit_code, news.reason)
        if not self._ready.is_set():
            raise error
        log.error(
            "a worker could not start: %s",
            news.reason,
            extra={"action": "worker_start_failed", "exit_code": news.exit_code},
        )
        if self._draining is None:
            self._refill(self._crew.failed_to_start(news.queue))

    def _refill(self, post: Post) -> None:
        if post.delay_s:
            self._timers.add(monotonic() + post.delay_s, _Respawn(post.queue))
        else:
            self._spawn(post.queue)

    def _spawn(self, queue: str) -> None:
        if self._draining is None:
            self._crew.started(self._workers.spawn(queue), monotonic())

    def _look_after_workers(self) -> None:
        """Take back what waits behind a step that turned out slow, if someone else could do it."""
        for worker_id in self._pool.overdue(monotonic()):
            self._workers.recall(worker_id)

    # -- notes of other threads --------------------------------------------------------------------

    def _envelope(self, envelope: Envelope, now: int) -> None:
        for asked in self._border.hear(envelope, now):
            if isinstance(asked, Envelope):
                self._after.append(asked)
            else:
                self._carriers[type(asked)](asked, now)

    def _plan_loaded(self, news: PlanLoaded, now: int) -> None:
        self._shelf.open(news.skeleton, news.payloads)
        self._decide(PlanArrived(news.skeleton, news.holder_request_id), now)
        if not self._director.runs(news.skeleton.id):
            self._shelf.close(news.skeleton.id)

    def _page(self, page: Page, now: int) -> None:
        missing = self._shelf.arrived(page)
        if missing:
            self._unreadable(page.wanted, missing, "its action is not in the database", now)

    def _page_failed(self, news: PageFailed, now: int) -> None:
        self._shelf.unavailable(news.wanted)
        self._unreadable(news.wanted, list(news.wanted.step_ids), news.reason, now)

    def _unreadable(self, wanted: PageWanted, step_ids: list[int], reason: str, now: int) -> None:
        """Steps that cannot be run because what they need cannot be read: errors, not silence."""
        plan_id = wanted.plan_id
        if wanted.finalize:
            step_ids = [FINALIZE]
        self._decide(StepsSent(plan_id, step_ids), now)
        for step_id in step_ids:
            message = f"step {step_id} of plan {plan_id} could not be read: {reason}"
            self._decide(StepLost(plan_id, step_id, 0, "unreadable", message), now)

    def _stop_asked(self, note: _Stop, now: int) -> None:
        if self._draining is None:
            self._decide(DrainBegun(), now)
            for worker_id in self._pool.batching:
                self._workers.recall(worker_id)
        # Asked again: the earlier deadline counts ("stop at once" after "stop").
        earlier = note if self._draining is None else min(note, self._draining)
        self._draining = earlier

    # -- instructions that only move things about here ---------------------------------------------

    def _wake_later(self, order: WakeAt, now: int) -> None:
        due = monotonic() + max(0, order.due_at - now) / 1e6
        self._timers.add(due, EventDue(order.plan_id, order.event_id))

    def _drop_plan(self, order: DropPlan, now: int) -> None:
        self._shelf.close(order.plan_id)
        self._pool.withdraw(order.plan_id)

    # -- what is ready goes to workers -------------------------------------------------------------

    def _serve(self) -> None:
        jobs, wanted = self._shelf.take()
        self._after += wanted
        for item in jobs:
            if not self._pool.add(item):
                log.warning(
                    "no queue %r here, the default one takes the step",
                    item.queue,
                    extra={"action": "unknown_queue", "plan_id": item.plan_id},
                )
        if self._draining is not None:
            return
        self._assigned = self._pool.assign(monotonic())
        if self._assigned:
            self._announce(now_us())

    def _announce(self, now: int) -> None:
        """Let the director mark what is about to be sent."""
        by_plan: dict[str, list[int]] = {}
        for assignment in self._assigned:
            for _, item in assignment.numbered:
                by_plan.setdefault(item.plan_id, []).append(_step_of(item))
        for plan_id, step_ids in by_plan.items():
            self._decide(StepsSent(plan_id, step_ids), now)

    # -- commit ------------------------------------------------------------------------------------

    def _commit(self) -> frozenset[str]:
        if not self._writes:
            return frozenset()
        writes, self._writes = self._writes, []
        return self._ledger.write(writes, _OUTAGE_PATIENCE_S)

    # -- emit --------------------------------------------------------------------------------------

    def _emit(self, lost: frozenset[str]) -> None:
        assigned, self._assigned = self._assigned, []
        after, self._after = self._after, []
        for assignment in assigned:
            self._send_jobs(assignment, lost)
        for order in after:
            if getattr(order, "plan_id", None) not in lost:
                self._carry_out(order)
        for plan_id in lost:
            log.warning(
                "plan %s is lost: another world has it, or it is gone",
                plan_id,
                extra={"action": "plan_lost", "plan_id": plan_id},
            )
            self._decide(PlanLost(plan_id), now_us())
        if self._after:
            # What a lost plan's asker is told, and the questions about it: nothing to store first.
            after, self._after = self._after, []
            for order in after:
                self._carry_out(order)

    def _send_jobs(self, assignment: Assignment, lost: frozenset[str]) -> None:
        numbered = [(number, item.job) for number, item in assignment.numbered if item.plan_id not in lost]
        if len(numbered) < len(assignment.numbered):
            withheld = [number for number, item in assignment.numbered if item.plan_id in lost]
            self._pool.returned(assignment.worker_id, withheld)
        if numbered:
            self._workers.send(assignment.worker_id, numbered)

    def _carry_out(self, order: Any) -> None:
        if isinstance(order, Answer):
            self._send(self._border.answer(order))
        elif isinstance(order, PageWanted):
            self._reader.ask(order)
        elif isinstance(order, LoadPlan):
            self._reader.ask(order.plan_id)
        elif isinstance(order, Envelope):
            self._send(order)
        elif isinstance(order, HandOver):
            self._send(self._border.hand_over(order))
        elif isinstance(order, SendEvent):
            self._send_event(order)
        elif isinstance(order, PingAsked):
            self._send(self._border.pong(order))
        elif isinstance(order, StatusAsked):
            self._send(self._border.status(order, self._pool.status(order.plan_id)))
        else:
            raise DynflowError(f"the core does not know how to carry out {order!r}")

    # -- ending ------------------------------------------------------------------------------------

    def _drain_on(self) -> None:
        """While draining: wait for running steps, then for what killing the rest brings, then end."""
        if self._draining is None:
            return
        if self._pool.in_flight:
            late_s = monotonic() - self._draining.deadline
            if late_s < 0:
                return
            if not self._killed:
                self._killed = True
                for worker_id in self._pool.busy:
                    self._workers.kill(worker_id)
            if late_s < _KILL_PATIENCE_S:
                return
        self._decide(DrainEnded(), now_us())
        self._emit(self._commit())
        self._over = True


def _step_of(item: QueuedJob) -> int:
    job = item.job
    return FINALIZE if isinstance(job, FinalizeJob) else job.step_id


def _holder_of(coordinator: Coordinator) -> Callable[[str], str | None]:
    """Under which request a plan that has an owner is being run."""

    def holder_request_id(plan_id: str) -> str | None:
        lock = coordinator.execution_lock(plan_id)
        return None if lock is None else lock.request_id

    return holder_request_id
