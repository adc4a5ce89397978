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
from typing import Any, NamedTuple

import zmq

from dynflow_mp.bell import Bell
from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.director import Director
from dynflow_mp.director.protocol import (
    Answer,
    DrainBegun,
    DrainEnded,
    DropPlan,
    EventArrived,
    EventDue,
    HandOver,
    LoadPlan,
    PlanArrived,
    PlanLost,
    PlanRequested,
    PlanUnavailable,
    ReadyEvent,
    ReadyFinalize,
    ReadySteps,
    SendEvent,
    Stimulus,
    WakeAt,
)
from dynflow_mp.errors import PlanNotFound, WorkerStartFailed, WorldFenced
from dynflow_mp.executor.floor import Floor
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.executor.processes import Processes
from dynflow_mp.executor.reader import PageFailed, PlanLoaded, Reader
from dynflow_mp.executor.requests import Dispatcher, StatusAsked
from dynflow_mp.executor.shelf import Page, PageWanted
from dynflow_mp.executor.timers import Timers
from dynflow_mp.executor.worker_process import WorkerSettings
from dynflow_mp.model.messages import Envelope, Execution, ExecutionStatus, Failed, Response
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
"""How often to look for work that got stuck behind a slow step, and at a drain's deadline."""
_MOST_NOTES = 512
"""Notes of other threads taken in one turn: a turn is bounded."""
_OUTAGE_PATIENCE_S = 60.0
_KILL_PATIENCE_S = 5.0
_START_MARGIN_S = 30.0


class _ReadAhead(NamedTuple):
    """A request for a plan that the reader has been asked for already."""

    envelope: Envelope


class _Stop(NamedTuple):
    """Drain, then end; running steps have until ``deadline`` (steady clock)."""

    deadline: float


_Note = Envelope | _ReadAhead | PlanLoaded | PlanUnavailable | Page | PageFailed | _Stop
_Emission = Answer | HandOver | SendEvent | LoadPlan | PageWanted | Envelope | StatusAsked


class CoreSettings(NamedTuple):
    """What a core needs to know."""

    world_id: str
    pools: Mapping[str, int]
    max_credit: int
    directory: Path
    workers: WorkerSettings


class Core:
    """An executor world's core.

    :meth:`start`, :meth:`post`, :meth:`hurry` and :meth:`stop` may be called from any thread; all
    else belongs to the core's own thread, which lives as long as the workers do (their parent-death
    signal follows the thread that started them). ``fenced`` is called on it when another world has
    declared this one dead.
    """

    def __init__(
        self,
        settings: CoreSettings,
        store: Store,
        coordinator: Coordinator,
        dispatcher: Dispatcher,
        send: Callable[[Envelope], None],
        send_event: Callable[[SendEvent], None],
        fenced: Callable[[WorldFenced], None] = lambda error: None,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._send = send
        self._send_event = send_event
        self._fenced = fenced
        self._director = Director(settings.world_id)
        self._floor: Floor | None = None
        self._timers: Timers[EventDue] = Timers()
        self._reader = Reader(store, _holder_of(coordinator), self.post)
        self._ledger = Ledger(store, coordinator, self._keep_alive)
        self._bell = Bell()
        self._notes: deque[_Note] = deque()
        self._poller = zmq.Poller()
        self._writes: list[Write] = []
        self._emissions: list[_Emission] = []
        self._stopping: _Stop | None = None
        self._killed = False
        self._over = False
        self._begun = Event()
        self.ended = Event()
        """Set once the core's thread is over."""
        self.failure: BaseException | None = None
        """What ended the core, when it was not asked to end."""
        self.last_turn = monotonic()
        """When the core last turned (steady clock); the lease is renewed only while it does."""
        self._thread = Thread(target=self._run, name="dynflow core", daemon=True)
        self._hearers = self._make_hearers()
        self._deciders = self._make_deciders()
        self._emitters = self._make_emitters()

    # -- any thread --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers and wait until each has said hello.

        Raises :class:`WorkerStartFailed` when one cannot start, and whatever else ended the core.
        """
        # Each worker is given its time by those who start it; this is for whatever else may hang.
        timeout_s = self._settings.workers.start_timeout_s + _START_MARGIN_S
        self._reader.start()
        self._thread.start()
        if not self._begun.wait(timeout_s):
            self.stop(0.0)
            raise WorkerStartFailed(None, f"the workers did not start within {timeout_s:g} s")
        if self.failure is not None:
            self._thread.join(timeout_s)
            raise self.failure

    def post(self, note: _Note) -> None:
        """Leave a note for the core; it is heard in the next turn."""
        self._notes.append(note)
        self._bell.ring()

    def ask(self, envelope: Envelope) -> None:
        """A request has come. A plan that is asked for is read ahead, while the core wakes up."""
        if isinstance(envelope.message, Execution):
            self.post(_ReadAhead(envelope))
            self._reader.ask(envelope.message.plan_id)
        else:
            self.post(envelope)

    def hurry(self, grace_s: float) -> None:
        """While stopping: give running steps only ``grace_s`` seconds more."""
        self.post(_Stop(monotonic() + grace_s))

    def stop(self, grace_s: float) -> None:
        """Take nothing new, let running steps end within ``grace_s``, give up the rest, end the workers.

        Twice is fine; before :meth:`start` too.
        """
        if self._thread.is_alive() and get_ident() != self._thread.ident:
            self.post(_Stop(monotonic() + grace_s))
            self._thread.join(grace_s + 2 * _KILL_PATIENCE_S + 10.0)
        self._reader.stop()

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id."""
        return {} if self._floor is None else self._floor.pids

    def free_slots(self) -> dict[str, int]:
        """Per queue, how many more steps could begin at once; a snapshot, for advertising."""
        return {} if self._floor is None else self._floor.free_slots()

    # -- the core's thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            floor = self._open()
            while not self._over:
                self._turn(floor)
        except BaseException as error:
            # Whatever it was, whoever waits must hear of it; the world ends what is left.
            self.failure = error
            if self._begun.is_set():
                log.critical("the core ended", extra={"action": "core_failed"}, exc_info=error)
                if isinstance(error, WorldFenced):
                    self._end_at_once(error)
        finally:
            self._close()

    def _open(self) -> Floor:
        settings = self._settings
        self._poller.register(self._bell.fd, zmq.POLLIN)
        processes = Processes(settings.directory, settings.workers, self._poller)
        self._floor = Floor(processes, settings.pools, settings.max_credit, self._begun)
        self._floor.start()
        return self._floor

    def _end_at_once(self, error: WorldFenced) -> None:
        """Others run our plans already: not a step more here, and the world ends too."""
        self._the_floor.kill_busy()
        self._fenced(error)

    def _close(self) -> None:
        try:
            if self._floor is not None:
                self._floor.stop()
        finally:
            self._bell.close()
            self.ended.set()
            self._begun.set()

    def _turn(self, floor: Floor) -> None:
        self._hear(floor)
        self._assign(floor)
        lost = self._commit()
        self._emit(floor, lost)
        self._wind_up(floor)
        self._keep_alive()

    def _keep_alive(self) -> None:
        now = self.last_turn = monotonic()
        if self._floor is not None:
            self._floor.look_after(now)

    # -- hear and decide ---------------------------------------------------------------------------

    def _hear(self, floor: Floor) -> None:
        ready = dict(self._poller.poll(int(self._patience(floor) * 1000 + 0.999)))
        if self._bell.fd in ready:
            self._bell.silence()
        now = now_us()
        for stimulus in floor.hear(ready):
            self._decide(stimulus, now)
        for _ in range(min(_MOST_NOTES, len(self._notes))):
            note = self._notes.popleft()
            self._hearers[type(note)](note, now)
        for due in list(self._timers.due(monotonic())):
            self._decide(due, now)

    def _patience(self, floor: Floor) -> float:
        """How long to wait for something to happen (seconds)."""
        if self._notes or self._writes or self._emissions or floor.pending:
            return 0.0
        now = monotonic()
        longest = _IDLE_S if self._stopping is None else _WATCH_S
        return self._timers.wait(now, floor.patience(now, longest, _WATCH_S))

    def _decide(self, stimulus: Stimulus, now: int) -> None:
        for instruction in self._director.handle(stimulus, now):
            self._deciders[type(instruction)](instruction, now)

    def _make_hearers(self) -> dict[type, Callable[[Any, int], None]]:
        """What to do with each kind of note."""
        return {
            Envelope: self._envelope,
            _ReadAhead: self._read_ahead,
            PlanLoaded: self._plan_loaded,
            PlanUnavailable: self._plan_unavailable,
            Page: lambda page, now: self._decide_all(self._the_floor.page(page), now),
            PageFailed: lambda news, now: self._decide_all(self._the_floor.page_failed(news), now),
            _Stop: self._stop_asked,
        }

    def _make_deciders(self) -> dict[type, Callable[[Any, int], None]]:
        """What to do at once with each kind of instruction: note it for this turn, or move it about here."""
        deciders: dict[type, Callable[[Any, int], None]] = {
            ReadySteps: lambda order, now: self._the_floor.ready(order),
            ReadyEvent: lambda order, now: self._the_floor.ready(order),
            ReadyFinalize: lambda order, now: self._the_floor.ready(order),
            DropPlan: lambda order, now: self._the_floor.close_plan(order.plan_id),
            WakeAt: self._wake_later,
        }
        writes: tuple[type, ...] = (ClaimPlan, SavePlan, MarkRunning, UnmarkRunning, ResetStep)
        writes += (SaveOutcome, RecordEvent, ForgetEvents)
        deciders.update((kind, lambda write, now: self._writes.append(write)) for kind in writes)
        emissions: tuple[type, ...] = (Answer, HandOver, LoadPlan, SendEvent)
        deciders.update((kind, lambda order, now: self._emissions.append(order)) for kind in emissions)
        return deciders

    @property
    def _the_floor(self) -> Floor:
        assert self._floor is not None, "the core is not open"
        return self._floor

    def _decide_all(self, stimuli: list[Stimulus], now: int) -> None:
        for stimulus in stimuli:
            self._decide(stimulus, now)

    def _envelope(self, envelope: Envelope, now: int) -> None:
        asked = self._dispatcher.hear(envelope, now)
        if isinstance(asked, (PlanRequested, EventArrived)):
            self._decide(asked, now)
        elif asked is not None:
            self._emissions.append(asked)

    def _read_ahead(self, note: _ReadAhead, now: int) -> None:
        """What the request makes the director want to read is on its way."""
        first = len(self._emissions)
        self._envelope(note.envelope, now)
        wanted = [order for order in self._emissions[first:] if not isinstance(order, LoadPlan)]
        self._emissions[first:] = wanted

    def _plan_loaded(self, news: PlanLoaded, now: int) -> None:
        plan_id = news.skeleton.id
        if self._director.runs(plan_id):
            return  # read ahead for a request that came twice
        self._the_floor.open_plan(news)
        self._decide(PlanArrived(news.skeleton, news.holder_request_id), now)
        if not self._director.runs(plan_id):
            self._the_floor.close_plan(plan_id)

    def _plan_unavailable(self, news: PlanUnavailable, now: int) -> None:
        if isinstance(news.response, Failed) and news.response.error_class == PlanNotFound.__name__:
            # Deleted while it ran here: what is left of it is our lock.
            self._ledger.release(news.plan_id)
        self._decide(news, now)

    def _wake_later(self, order: WakeAt, now: int) -> None:
        due = monotonic() + max(0, order.due_at - now) / 1e6
        self._timers.add(due, EventDue(order.plan_id, order.event_id))

    # -- what is ready goes to workers -------------------------------------------------------------

    def _assign(self, floor: Floor) -> None:
        announced, wanted = floor.assign(monotonic())
        self._emissions += wanted
        if announced:
            self._decide_all(announced, now_us())

    # -- commit ------------------------------------------------------------------------------------

    def _commit(self) -> frozenset[str]:
        if not self._writes:
            return frozenset()
        writes, self._writes = self._writes, []
        return self._ledger.write(writes, _OUTAGE_PATIENCE_S)

    # -- emit --------------------------------------------------------------------------------------

    def _emit(self, floor: Floor, lost: frozenset[str]) -> None:
        floor.send(lost)
        emissions, self._emissions = self._emissions, []
        for order in emissions:
            if getattr(order, "plan_id", None) not in lost:
                self._emitters[type(order)](order)
        for plan_id in lost:
            self._lose(plan_id)
        self._director.settle()

    def _lose(self, plan_id: str) -> None:
        log.warning(
            "plan %s is lost: another world has it, or it is gone",
            plan_id,
            extra={"action": "plan_lost", "plan_id": plan_id},
        )
        # What follows from it (dropping it, looking again) has nothing to store first; it leaves
        # with the next turn, which comes at once.
        self._decide(PlanLost(plan_id), now_us())

    def _make_emitters(self) -> dict[type, Callable[[Any], None]]:
        """How each kind of thing leaves."""
        return {
            Answer: lambda order: self._answer(order, order.response),
            StatusAsked: lambda asked: self._answer(
                asked, ExecutionStatus(self._the_floor.status(asked.plan_id))
            ),
            Envelope: self._send,
            HandOver: lambda order: self._send(order.request),
            SendEvent: self._send_event,
            LoadPlan: lambda order: self._reader.ask(order.plan_id),
            PageWanted: self._reader.ask,
        }

    def _answer(self, asked: Answer | StatusAsked, response: Response) -> None:
        self._send(self._dispatcher.answer(asked.client_id, asked.request_id, response))

    # -- ending ------------------------------------------------------------------------------------

    def _stop_asked(self, note: _Stop, now: int) -> None:
        if self._stopping is None:
            self._decide(DrainBegun(), now)
            self._the_floor.begin_drain()
            self._stopping = note
        # Asked again: the earlier deadline counts.
        self._stopping = min(note, self._stopping)

    def _wind_up(self, floor: Floor) -> None:
        """While stopping: wait for running steps, kill those that have had their time, then end."""
        if self._stopping is None:
            return
        if floor.busy:
            late_s = monotonic() - self._stopping.deadline
            if late_s < 0:
                return
            if not self._killed:
                self._killed = True
                floor.kill_busy()
            if late_s < _KILL_PATIENCE_S:
                return
        self._decide(DrainEnded(), now_us())
        self._emit(floor, self._commit())
        self._over = True


def _holder_of(coordinator: Coordinator) -> Callable[[str], str | None]:
    """Under which request a plan that has an owner is being run."""

    def holder_request_id(plan_id: str) -> str | None:
        lock = coordinator.execution_lock(plan_id)
        return None if lock is None else lock.request_id

    return holder_request_id
