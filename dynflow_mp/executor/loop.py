"""The core's loop: hear, decide, commit, emit. One thread owns all that runs plans in an executor world.

    hear    workers' socket, deaths, the bell (other threads' notes), due timers
    decide  director, shelf and pool – all pure – name what to write and what to send
    commit  every write of the turn in one transaction, the fence first
    emit    only now: jobs to workers, answers to worlds, questions to the reader

Nothing leaves before its cause is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import sleep
from typing import Any

import zmq

from dynflow_mp.clock import monotonic, now_us
from dynflow_mp.director.director import Director
from dynflow_mp.director.instructions import (
    Answer,
    DropPlan,
    EndSubPlans,
    EventUndelivered,
    HandOver,
    Instruction,
    LoadPlan,
    ReadyEvent,
    ReadyFinalize,
    ReadySteps,
    RemindAt,
    RunErrand,
    SendEvent,
    StartSubPlans,
    StopStep,
    WakeAt,
    Withdraw,
)
from dynflow_mp.director.protocol import attended
from dynflow_mp.director.stimuli import (
    CancelRequested,
    DeadlineDue,
    DrainBegun,
    DrainEnded,
    EventArrived,
    EventDue,
    HaltRequested,
    PlanArrived,
    PlanLost,
    PlanOffered,
    PlanRequested,
    PlanUnavailable,
    StepDue,
    Stimulus,
)
from dynflow_mp.errors import NoExecutor, PeerBusy, PlanNotFound
from dynflow_mp.executor.emitter import Emission, Emitter
from dynflow_mp.executor.errands import ErrandAsked, ErrandBriefed, ErrandUnbriefed
from dynflow_mp.executor.floor import Floor
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.executor.notes import Deleted, Inbox, Offered, ReadAhead, Stop, Stranded
from dynflow_mp.executor.outside import Outside
from dynflow_mp.executor.reader import FreshLoaded, PageFailed, PlanLoaded, Reader
from dynflow_mp.executor.requests import Dispatcher
from dynflow_mp.executor.shelf import PayloadPage
from dynflow_mp.executor.timers import Timers
from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.messages import Envelope, Failed
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.writes import (
    AddChunks,
    ClaimPlan,
    ForgetEvents,
    MarkEventsTaken,
    MarkRunning,
    MoveStep,
    NoteHooks,
    PostEvent,
    RecordEvent,
    RequestPlan,
    ResetStep,
    SaveOutcome,
    SavePlan,
    StorePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.telemetry import logger

log = logger("executor.loop")

_IDLE_S = 1.0
_WATCH_S = 0.02
"""How often to look for work that got stuck behind a slow step, and at a drain's deadline."""
_MOST_NOTES = 512
"""Notes of other threads taken in one turn: a turn is bounded."""
_OUTAGE_PATIENCE_S = inf
"""What steps did is kept until it can be stored, or until this world is to end, or is told that it is dead."""
KILL_PATIENCE_S = 5.0


class Loop:
    """Everything the core's thread owns, and one turn after the other of it."""

    def __init__(
        self,
        director: Director,
        floor: Floor,
        ledger: Ledger,
        reader: Reader,
        dispatcher: Dispatcher,
        inbox: Inbox,
        poller: zmq.Poller,
        outside: Outside,
    ) -> None:
        self.last_turn = monotonic()
        """When the core last turned (steady clock); the lease is renewed only while it does."""
        self.over = False
        """Drained: there will be no further turn."""
        self._director, self._floor, self._counts = director, floor, floor.counts
        self._ledger, self._reader, self._dispatcher = ledger, reader, dispatcher
        self._inbox, self._poller = inbox, poller
        self._outside, self._any_stopped, self._any_hooks = outside, False, False
        self.timers: Timers[EventDue | StepDue | DeadlineDue] = Timers()
        """What is to be heard later, on the steady clock."""
        self._emitter = Emitter(floor, reader, dispatcher, outside, director)
        self._writes: list[Write] = []
        self._emissions: list[Emission] = []
        self._given_up: list[str] = []
        self._stranded: list[str] = []
        """Said to run here by the store, once what earlier turns decided was stored."""
        self._stopping: Stop | None = None
        self._stopped = self._killed = False
        self._degraded: str | None = None
        self._hearers = self._make_hearers()
        self._deciders = self._make_deciders()
        self._emitters = self._emitter.ways

    def turn(self) -> None:
        """One turn; waits for something to happen, a second at most."""
        self._hear()
        self._assign()
        writes = self._writes
        failpoint("outcomes_heard", when=lambda: _holds(writes, SaveOutcome))
        lost = self._commit()
        failpoint("running_stored", when=lambda: _holds(writes, MarkRunning))
        failpoint("outcomes_stored", when=lambda: _holds(writes, SaveOutcome))
        self._emit(lost)
        failpoint("turn_over", when=lambda: _holds(writes, SaveOutcome))
        if writes and (courtesy_s := self._ledger.courtesy_s):
            sleep(courtesy_s)
        self._wind_up()
        self.keep_alive()

    def keep_alive(self) -> None:
        """To be called at least every few seconds, also while a turn cannot be committed."""
        now = self.last_turn = monotonic()
        self._floor.look_after(now)
        if self._floor.degraded is not self._degraded:
            self._degraded = self._floor.degraded
            self._outside.condition_changed()

    # -- hear and decide ---------------------------------------------------------------------------

    def _hear(self) -> None:
        ready = dict(self._poller.poll(int(self._patience() * 1000 + 0.999)))
        if self._inbox.bell.fd in ready:
            self._inbox.bell.silence()
        now = now_us()
        for stimulus in self._floor.hear(ready):
            self._decide(stimulus, now)
        for note in self._inbox.take(_MOST_NOTES):
            self._hearers[type(note)](note, now)
        for due in list(self.timers.due(monotonic())):
            self._decide(due, now)

    @property
    def pending(self) -> bool:
        """Whether there is something to do at once."""
        return bool(self._inbox or self._writes or self._emissions or self._floor.pending)

    @property
    def next_due(self) -> float | None:
        """When something is to be done by itself (steady clock); None: only when something happens."""
        due = [at for at in (self.timers.next_due, self._floor.next_due) if at is not None]
        return min(due, default=None)

    def _patience(self) -> float:
        """How long to wait for something to happen (seconds)."""
        if self.pending:
            return 0.0
        now = monotonic()
        longest = _IDLE_S if self._stopping is None else _WATCH_S
        return self.timers.wait(now, self._floor.patience(now, longest, _WATCH_S))

    def _decide(self, stimulus: Stimulus, now: int) -> None:
        try:
            instructions = self._director.handle(stimulus, now)
        except Exception as error:
            instructions = self._give_up(stimulus, error)
        for instruction in instructions:
            self._deciders[type(instruction)](instruction, now)

    def _give_up(self, stimulus: Stimulus, error: Exception) -> list[Instruction]:
        """A plan whose rows make no sense must not end all others with this executor, and then the next one."""
        plan_id = _plan_of(stimulus)
        if plan_id is None:
            raise error
        log.error(
            "plan %s cannot be gone on with",
            plan_id,
            extra={"action": "plan_given_up", "plan_id": plan_id},
            exc_info=error,
        )
        self._given_up.append(plan_id)
        return self._director.give_up(plan_id, str(error))

    def _make_hearers(self) -> dict[type, Callable[[Any, int], None]]:
        """What to do with each kind of note."""
        return {
            Envelope: self._envelope,
            ReadAhead: self._read_ahead,
            PlanLoaded: self._plan_loaded,
            FreshLoaded: self._fresh_loaded,
            Offered: lambda note, now: self._emitter.feeder.offered(note.plan_ids),
            PlanUnavailable: self._plan_unavailable,
            PayloadPage: lambda page, now: self._decide_all(self._floor.page(page), now),
            PageFailed: lambda news, now: self._decide_all(self._floor.page_failed(news), now),
            ErrandAsked: lambda note, now: self._emitter.run_errand(note.order, note.tell),
            ErrandBriefed: lambda news, now: self._floor.errands.ready(news.order, news.data),
            ErrandUnbriefed: self._errand_unbriefed,
            Deleted: lambda note, now: self._decide_all(list(map(PlanLost, note.plan_ids)), now),
            Stranded: self._note_stranded,
            Stop: self._stop_asked,
        }

    def _make_deciders(self) -> dict[type, Callable[[Any, int], None]]:
        """What to do at once with each kind of instruction: note it for this turn, or move it about here."""
        deciders: dict[type, Callable[[Any, int], None]] = {
            ReadySteps: lambda order, now: self._floor.ready(order),
            ReadyEvent: lambda order, now: self._floor.ready(order),
            ReadyFinalize: lambda order, now: self._floor.ready(order),
            DropPlan: lambda order, now: self._floor.close_plan(order.plan_id),
            Withdraw: lambda order, now: self._floor.withdraw(order.plan_id),
            WakeAt: self._wake_later,
            EventUndelivered: self._say_undelivered,
            ForgetEvents: self._forget_events,
            RemindAt: self._remind_later,
        }
        writes: tuple[type, ...] = (ClaimPlan, SavePlan, MarkRunning, UnmarkRunning, ResetStep, MoveStep)
        writes += (SaveOutcome, AddChunks, RecordEvent, MarkEventsTaken, PostEvent, StorePlan, RequestPlan)
        deciders.update((kind, lambda write, now: self._writes.append(write)) for kind in writes)
        deciders[SavePlan] = self._save_plan
        deciders[NoteHooks] = self._note_hooks
        emissions: tuple[type, ...] = (Answer, HandOver, LoadPlan, SendEvent, StopStep, RunErrand)
        emissions += (StartSubPlans, EndSubPlans)
        deciders.update((kind, lambda order, now: self._emissions.append(order)) for kind in emissions)
        return deciders

    def _save_plan(self, write: SavePlan, now: int) -> None:
        self._writes.append(write)
        self._floor.leaves(write)
        self._any_stopped = self._any_stopped or write.state is PlanState.STOPPED

    def _decide_all(self, stimuli: Sequence[Stimulus], now: int) -> None:
        for stimulus in stimuli:
            self._decide(stimulus, now)

    def _envelope(self, envelope: Envelope, now: int) -> None:
        self._counts.heard(envelope)
        asked = self._dispatcher.hear(envelope, now)
        if isinstance(asked, (PlanRequested, EventArrived, CancelRequested, HaltRequested)):
            if not self._has_time_for(asked):
                return
            self._decide(asked, now)
        elif asked is not None:
            self._emissions.append(asked)

    def _has_time_for(self, asked: Stimulus) -> bool:
        """Plans that nobody waits for are left to others, or to a later round, while there is enough to do.

        All new ones are while this executor is degraded.
        """
        if self._degraded is not None and isinstance(asked, PlanRequested):
            return self._director.runs(asked.plan_id) or self._refuse(asked, self._degraded)
        if not isinstance(asked, PlanRequested) or attended(asked.request_id):
            return True
        if self._floor.waiting < self._floor.enough:
            return True
        busy = PeerBusy(f"there is enough to do here; plan {asked.plan_id} stays requested", asked.plan_id)
        self._emissions.append(Answer(asked.client_id, asked.request_id, Failed.of(busy)))
        return False

    def _refuse(self, asked: PlanRequested, why: str) -> bool:
        """As if nobody were here: the client asks others, and gives up after a while."""
        nobody = NoExecutor(f"this executor is degraded: {why}", asked.plan_id)
        self._emissions.append(Answer(asked.client_id, asked.request_id, Failed.of(nobody)))
        return False

    def _read_ahead(self, note: ReadAhead, now: int) -> None:
        """What the request makes the director want to read is on its way."""
        first = len(self._emissions)
        self._envelope(note.envelope, now)
        wanted = [order for order in self._emissions[first:] if not isinstance(order, LoadPlan)]
        self._emissions[first:] = wanted

    def _plan_loaded(self, news: PlanLoaded, now: int) -> None:
        self._take_in(news, PlanArrived(news.skeleton, news.holder_request_id), now)

    def _fresh_loaded(self, news: FreshLoaded, now: int) -> None:
        """Sub-plans for which there is room."""
        self._emitter.feeder.arrived()
        for loaded in news.loaded:
            self._take_in(loaded, PlanOffered(loaded.skeleton), now)

    def _take_in(self, loaded: PlanLoaded, stimulus: PlanArrived | PlanOffered, now: int) -> None:
        plan_id = loaded.skeleton.id
        if self._director.runs(plan_id):
            return  # read ahead for a request that came twice
        self._floor.open_plan(loaded)
        self._decide(stimulus, now)
        if not self._director.runs(plan_id):
            self._floor.close_plan(plan_id)

    def _plan_unavailable(self, news: PlanUnavailable, now: int) -> None:
        if isinstance(news.response, Failed) and news.response.error_class == PlanNotFound.__name__:
            # Deleted while it ran here: what is left of it is our lock.
            self._ledger.release(news.plan_id)
        self._decide(news, now)

    def _note_stranded(self, note: Stranded, now: int) -> None:
        self._stranded += note.plan_ids

    def _errand_unbriefed(self, news: ErrandUnbriefed, now: int) -> None:
        self._decide_all(self._floor.errands.unreadable(news.order, news.reason), now)

    def _note_hooks(self, write: NoteHooks, now: int) -> None:
        self._writes.append(write)
        self._any_hooks = True

    def _forget_events(self, write: ForgetEvents, now: int) -> None:
        """Taken or dropped: what still waits for its time need not wait any longer."""
        self._writes.append(write)
        for event_id in write.ids:
            self.timers.forget(EventDue(write.plan_id, event_id))

    def _say_undelivered(self, order: EventUndelivered, now: int) -> None:
        log.warning(
            "an event that an action planned was not taken: %s",
            order.reason,
            extra={"action": "event_undelivered", "plan_id": order.plan_id, "step_id": order.step_id},
        )

    def _wake_later(self, order: WakeAt, now: int) -> None:
        due = monotonic() + max(0, order.due_at - now) / 1e6
        self.timers.add(due, EventDue(order.plan_id, order.event_id))

    def _remind_later(self, order: RemindAt, now: int) -> None:
        self.timers.add(monotonic() + max(0, order.due_at - now) / 1e6, order.stimulus)

    # -- what is ready goes to workers -------------------------------------------------------------

    def _assign(self) -> None:
        announced, wanted = self._floor.assign(monotonic())
        self._emissions += wanted
        if announced:
            self._decide_all(announced, now_us())

    # -- commit ------------------------------------------------------------------------------------

    def _commit(self) -> frozenset[str]:
        if not self._writes:
            return frozenset()
        writes, self._writes = self._writes, []
        begun = monotonic()
        lost = self._ledger.write(writes, _OUTAGE_PATIENCE_S)
        self._counts.committed(monotonic() - begun, len(writes), lost)
        return lost

    # -- emit --------------------------------------------------------------------------------------

    def _emit(self, lost: frozenset[str]) -> None:
        self._floor.send(lost.union(self._given_up) if self._given_up else lost)
        emissions, self._emissions = self._emissions, []
        for order in emissions:
            # Who asked for a lost plan again is waiting for it to be read.
            if getattr(order, "plan_id", None) not in lost or isinstance(order, LoadPlan):
                self._emitters[type(order)](order)
        for plan_id in lost:
            self._lose(plan_id)
        self._director.settle()
        while self._given_up:  # what was decided about them before is stored by now
            self._ledger.disown(self._given_up.pop())
        while self._stranded:
            self._give_up_stranded(self._stranded.pop())
        if self._any_stopped:
            self._any_stopped = False
            self._outside.plan_stopped()
        if self._any_hooks:
            self._any_hooks = False
            self._outside.hooks_noted()
        self._feed()

    def _give_up_stranded(self, plan_id: str) -> None:
        """Its rows say that this world runs it, and it does not: nobody else may take it while this world lives."""
        if self._director.knows(plan_id):
            return
        log.error(
            "plan %s does not run here, though it is stored so: it is given up",
            plan_id,
            extra={"action": "plan_stranded", "plan_id": plan_id},
        )
        self._ledger.disown(plan_id)

    def _feed(self) -> None:
        if self._stopping is None and self._degraded is None:
            self._emitter.feed()

    def _lose(self, plan_id: str) -> None:
        log.warning(
            "plan %s is lost: another world has it, or it is gone",
            plan_id,
            extra={"action": "plan_lost", "plan_id": plan_id},
        )
        # What follows from it (dropping it, looking again) has nothing to store first; it leaves
        # with the next turn, which comes at once.
        self._decide(PlanLost(plan_id), now_us())

    # -- ending ------------------------------------------------------------------------------------

    def _stop_asked(self, note: Stop, now: int) -> None:
        if self._stopping is None:
            self._decide(DrainBegun(), now)
            self._floor.begin_drain()
            self._stopping = note
        self._stopping = self._stopping.sooner(note)

    def _wind_up(self) -> None:
        """While stopping: wait for running steps, stop those that have had their time, kill what is left, then end."""
        if self._stopping is None:
            return
        if self._floor.busy and self._wait_for_steps(self._stopping, monotonic()):
            return
        self._decide(DrainEnded(), now_us())
        self._emit(self._commit())
        self.over = True

    def _wait_for_steps(self, stop: Stop, now: float) -> bool:
        """Whether what workers still do is waited for; those whose time is over hear of it."""
        if now < stop.deadline:
            return True
        if now < stop.kill_at:
            if not self._stopped:
                self._stopped = True
                self._floor.stop_busy()
            return True
        if not self._killed:
            self._killed = True
            self._floor.kill_busy()
        return now < min(stop.kill_at + KILL_PATIENCE_S, stop.give_up_at)


def _holds(writes: Sequence[Write], kind: type[Write]) -> bool:
    return any(isinstance(write, kind) for write in writes)


def _plan_of(stimulus: Stimulus) -> str | None:
    if isinstance(stimulus, (PlanArrived, PlanOffered)):
        return stimulus.skeleton.id
    return getattr(stimulus, "plan_id", None)
