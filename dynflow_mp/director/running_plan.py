"""One plan while this executor runs it: run phase, finalize phase, end.

    claim ─▶ run flow ─┬─ failed ────────────────────────────▶ paused
                       └─ done ─▶ finalize (one job) ─┬─ failed ─▶ paused
                                                      └─ done ───▶ stopped

Everything here is decided from what it is told; instructions come back as lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynflow_mp.director.cancelling import cancellations
from dynflow_mp.director.cursor import FlowCursor
from dynflow_mp.director.events import HINTS, SUB_PLANS, EventBox
from dynflow_mp.director.finalize_phase import FinalizePhase
from dynflow_mp.director.halting import Halting
from dynflow_mp.director.protocol import (
    FINALIZE,
    Answer,
    Asker,
    CancelRequested,
    DropPlan,
    EventArrived,
    FinalizeFinished,
    HandOver,
    Instruction,
    ReadyEvent,
    ReadyFinalize,
    ReadySteps,
    SendEvent,
    StepLost,
    WakeAt,
)
from dynflow_mp.director.step_book import PASSED, StepBook
from dynflow_mp.director.sub_plans import follow
from dynflow_mp.errors import NotCancellable, WorkerLost
from dynflow_mp.model.messages import Done, Failed, Told
from dynflow_mp.model.plans import Caller, HistoryEntry, PlanSkeleton
from dynflow_mp.model.states import PlanState, StepState, check_plan_move, result_of
from dynflow_mp.model.stops import ERRORS, name_of
from dynflow_mp.model.work import ErrorRecord, PlannedEvent, StepOutcome
from dynflow_mp.model.writes import ClaimPlan, SavePlan

_MICRO = 1_000_000
_RUNNING, _SUSPENDED = StepState.RUNNING, StepState.SUSPENDED


class RunningPlan:
    """The director's memory of one plan. Owned by the director."""

    __slots__ = (
        "_book",
        "_cursor",
        "_epoch",
        "_events",
        "_finalize",
        "_halting",
        "_history",
        "_skeleton",
        "_steps",
        "_world_id",
        "asker",
        "ended",
        "id",
    )

    def __init__(self, skeleton: PlanSkeleton, asker: Asker, world_id: str, epoch: int | None = None) -> None:
        self.id = skeleton.id
        self.ended = False
        self.asker = asker
        """Who is told how this attempt ends."""
        self._skeleton = skeleton
        self._world_id = world_id
        self._epoch = skeleton.lock_epoch + 1 if epoch is None else epoch
        self._history = skeleton.history
        self._book = StepBook(skeleton, self._epoch)
        self._steps = self._book.steps
        highest = max(self._book.run_steps, default=0)
        self._cursor = FlowCursor(skeleton.run_flow, highest, self._book.passed)
        self._finalize = FinalizePhase(self._book)
        self._events = EventBox(self.id, self._epoch, skeleton.events)
        self._halting: Halting | None = None

    @classmethod
    def left_by_the_dead(cls, skeleton: PlanSkeleton, asker: Asker) -> RunningPlan:
        """The plan as its owner left it, at the epoch the owner had; nothing but :meth:`abandoned` fits."""
        return cls(skeleton, asker, skeleton.owner_id or "", skeleton.lock_epoch)

    @property
    def caller(self) -> Caller | None:
        """The action of which this is a sub-plan."""
        return self._skeleton.caller

    # -- beginning ---------------------------------------------------------------------------------

    def claim(self, now: int) -> list[Instruction]:
        """Take the plan and hand out its first steps."""
        check_plan_move(self.id, self._skeleton.state, PlanState.RUNNING)
        self._note("start execution", now)
        claim = self._claim(self._skeleton.started_at or now)
        interrupted = self._book.interrupted(now)
        if interrupted:
            return [claim, *interrupted, *self._end(PlanState.PAUSED, now)]
        return [claim, *self._book.retry(), *self._events.wake_ups(), *self._taken_up(now)]

    def _claim(self, started_at: int | None) -> ClaimPlan:
        return ClaimPlan(
            self.id,
            self._world_id,
            self._skeleton.lock_epoch,
            self._history,
            started_at,
            self.asker.client_id,
            self.asker.request_id,
        )

    def _taken_up(self, now: int) -> list[Instruction]:
        """The flow's first steps.

        A suspended one that an event is stored for waits for that, as if nothing had been. Others are called
        again without an event: what they wait for may have come while nobody ran the plan.
        """
        first = self._cursor.start()
        suspended = self._steps.in_state(first, _SUSPENDED)
        if not suspended:
            return self._ready(first, now)
        waiting = [step_id for step_id in suspended if self._events.has_for(step_id)]
        out = set(waiting)
        self._events.called_bare(step_id for step_id in suspended if step_id not in out)
        for step_id in waiting:
            if self._has_sub_plans(step_id):
                self._events.hint(step_id, SUB_PLANS)  # what was said while nobody ran the plan is lost
        ready = [step_id for step_id in first if step_id not in out]
        events = [order for step_id in waiting for order in self._next_event(step_id)]
        return [*self._ready(ready, now), *events]

    def _has_sub_plans(self, step_id: int) -> bool:
        policy = self._skeleton.policies.get(self._steps.kind(step_id).action_class)
        return policy is not None and policy.with_sub_plans

    # -- steps on their way ------------------------------------------------------------------------

    def sent(self, step_ids: Sequence[int], now: int) -> list[Instruction]:
        """Mark steps (or FINALIZE, which comes alone) as running, before they leave."""
        if self._halting is not None:
            return []
        if FINALIZE in step_ids:
            return self._finalize.sent(now)
        return self._book.mark(step_ids, now)

    def returned(self, step_ids: Sequence[int], now: int) -> list[Instruction]:
        """What was sent was never begun."""
        unmarks = self._finalize.returned() if FINALIZE in step_ids else self._book.unmark(step_ids)
        return unmarks if self._halting is None else unmarks + self._halt_goes_on(step_ids, now)

    def finished(self, attempt: int, outcome: StepOutcome, now: int) -> list[Instruction]:
        """Store what came of a step and go on behind it. An outcome nobody waits for changes nothing."""
        step_id = outcome.step_id
        steps = self._steps
        if steps.state(step_id) is not _RUNNING or steps.attempts(step_id) != attempt:
            return []
        instructions: list[Instruction] = [self._book.save(outcome)]
        if self._events:
            instructions += self._events.done(step_id)
        if outcome.events and self._halting is None:
            for planned in outcome.events:
                instructions += self._plan_event(planned, now)
        if outcome.plans or outcome.orders is not None:
            instructions += follow(outcome, self.id, self._epoch, steps.action_id(step_id), now)
        return self._go_on(step_id, outcome.state, instructions, now)

    def lost(self, news: StepLost, now: int) -> list[Instruction]:
        """The worker running a step died: an error that says how, or what it was stopped for."""
        kind = ERRORS.get(news.cause, WorkerLost)
        error = ErrorRecord(name_of(kind), news.message, news.backtrace, news.cause)
        if news.step_id == FINALIZE:
            return self._finalize.lost(news.part, error, now) + self._finalize_ended(now)
        if self._steps.state(news.step_id) is not _RUNNING:
            return []
        instructions: list[Instruction] = [self._book.fail(news.step_id, error, now)]
        if self._events:
            instructions += self._events.done(news.step_id)
        return self._go_on(news.step_id, StepState.ERROR, instructions, now)

    def _go_on(
        self, step_id: int, state: StepState, instructions: list[Instruction], now: int
    ) -> list[Instruction]:
        """Behind a step that ended or suspended: its events, then what the flow yields."""
        if self._halting is not None:
            return instructions + self._halt_goes_on([step_id], now)
        if state is _SUSPENDED:
            return instructions + self._next_event(step_id) if self._events else instructions
        if self._events:
            instructions += self._events.drop(step_id)
        ready = self._cursor.finish(step_id, state in PASSED)
        if ready:
            instructions.append(ReadySteps(self.id, ready))
        elif self._cursor.done:
            instructions += self._run_phase_ended(now)
        return instructions

    def _ready(self, ready: list[int], now: int) -> list[Instruction]:
        if ready:
            return [ReadySteps(self.id, ready)]
        return self._run_phase_ended(now) if self._cursor.done else []

    def _run_phase_ended(self, now: int) -> list[Instruction]:
        if self._cursor.failed:
            return self._end(PlanState.PAUSED, now)
        parts = self._finalize.parts()
        if not parts:
            return self._end(PlanState.STOPPED, now)
        self._finalize.going_on = True
        return [ReadyFinalize(self.id, parts)]

    # -- finalize ----------------------------------------------------------------------------------

    def finalized(self, news: FinalizeFinished, now: int) -> list[Instruction]:
        """Store what came of the finalize phase; the plan ends with it."""
        if not self._finalize.going_on:
            return []
        instructions = self._finalize.finished(news.outcomes)
        return instructions + self._finalize_ended(now)

    def _finalize_ended(self, now: int) -> list[Instruction]:
        if self._halting is not None:
            return self._halt_goes_on([FINALIZE], now)
        return self._end(PlanState.PAUSED if self._finalize.failed else PlanState.STOPPED, now)

    # -- events ------------------------------------------------------------------------------------

    def take_event(self, event: EventArrived, now: int) -> list[Instruction]:
        """Record an event for a step and, if the step waits idle, run it with it."""
        if self._events.knows(event.request_id):
            return []
        if event.due_at is None and event.data in HINTS:
            return self._hinted(event)
        state = self._book.state_of(event.step_id)
        if self._halting is not None:
            return self._events.refusal(event, f"plan {self.id} is being halted")
        if state not in (_RUNNING, _SUSPENDED):
            return self._events.misfit(event, state)
        record = self._events.record(event)
        if event.due_at is not None and event.due_at > now:
            return [record, WakeAt(event.due_at, self.id, event.request_id)]
        self._events.due(event.request_id)
        return [record, *self._next_event(event.step_id)]

    def hint(self, step_id: int, data: bytes = SUB_PLANS) -> list[Instruction]:
        """There is something to look at for this step: what has become of its sub-plans, unless told otherwise."""
        if self._book.state_of(step_id) not in (_RUNNING, _SUSPENDED):
            return []
        self._events.hint(step_id, data)
        return self._next_event(step_id)

    def _hinted(self, event: EventArrived) -> list[Instruction]:
        """From the step itself, or from another executor: never worth a row."""
        hinted = self.hint(event.step_id, event.data)
        if event.client_id is None:
            return hinted
        return [*hinted, Answer(event.client_id, event.request_id, Done(), self.id)]

    def event_due(self, event_id: str) -> list[Instruction]:
        """The time of a stored event came."""
        step_id = self._events.due(event_id)
        return [] if step_id is None else self._next_event(step_id)

    def _plan_event(self, planned: PlannedEvent, now: int) -> list[Instruction]:
        """An event that an action of this plan asked for, for itself or for another step."""
        due_at = now + int(planned.delay_s * _MICRO) if planned.delay_s else None
        if planned.plan_id != self.id:
            return [SendEvent(planned)]
        event_id = self._events.own_id()
        return self.take_event(
            EventArrived(self.id, planned.step_id, None, event_id, planned.data, planned.optional, due_at),
            now,
        )

    def _next_event(self, step_id: int) -> list[Instruction]:
        if self._book.state_of(step_id) is not _SUSPENDED or self._halting is not None:
            return []
        event = self._events.take(step_id)
        return [] if event is None else [ReadyEvent(self.id, step_id, event.data)]

    # -- cancel and halt ---------------------------------------------------------------------------

    def cancel(self, request: CancelRequested, now: int) -> list[Instruction]:
        """Send Cancel or Abort to every step that can take it; who asks is told which those are."""
        events = (
            []
            if self._halting is not None
            else cancellations(self._skeleton, self._steps, self._book.run_steps, request)
        )
        if not events:
            error = NotCancellable(f"no step of plan {self.id} that runs or waits can be cancelled", self.id)
            return [Answer(request.client_id, request.request_id, Failed.of(error), self.id)]
        told = Told([event.step_id for event in events])
        taken = [order for event in events for order in self.take_event(event, now)]
        return [*taken, Answer(request.client_id, request.request_id, told, self.id)]

    @property
    def halting(self) -> bool:
        """Whether it is to be stopped as soon as nothing of it runs."""
        return self._halting is not None

    def halt(self, asker: Asker, now: int) -> list[Instruction]:
        """Begin nothing more, stop what runs; then the plan is stopped."""
        if self._halting is not None:
            self._halting.asked_by(asker)
            return []
        running = self._book.in_state(_RUNNING)
        if self._finalize.going_on:
            running = [FINALIZE] if running else []
        self._halting = Halting(self.id, running)
        self._halting.asked_by(asker)
        return [DropPlan(self.id), *self._halting.stops(), *self._halt_goes_on((), now)]

    def _halt_goes_on(self, ended: Sequence[int], now: int) -> list[Instruction]:
        halting = self._halting
        assert halting is not None
        for step_id in ended:
            halting.ended(step_id)
        return self.halted(now) if halting.over else []

    def halted(self, now: int) -> list[Instruction]:
        """Stop the plan as it is, and tell everybody."""
        cut_off = self._book.interrupted(now)
        dropped = self._events.drop_all(f"plan {self.id} was halted")
        answers = [] if self._halting is None else self._halting.answers()
        return [*cut_off, *dropped, *self._end(PlanState.STOPPED, now, "halt execution"), *answers]

    def halted_unowned(self, now: int) -> list[Instruction]:
        """Nobody runs the plan: take it and stop it, at once."""
        return [self._claim(self._skeleton.started_at), *self.halted(now)]

    # -- ending ------------------------------------------------------------------------------------

    def handed_over(self, now: int, successor_may_run: bool = True) -> list[Instruction]:
        """This executor ends: leave the plan paused and still requested, for the next one."""
        self._note("terminate execution", now)
        failed = StepState.ERROR in self._book.states()
        ending = self._close(PlanState.PAUSED, now, keep_requested=not failed)
        if failed or not successor_may_run:
            return [*ending, Answer(*self.asker, Done(), self.id), DropPlan(self.id)]
        return [*ending, HandOver(self.id, *self.asker), DropPlan(self.id)]

    def abandoned(self, now: int) -> list[Instruction]:
        """Its executor died: steps that were running are errors, the rest is handed over."""
        instructions: list[Instruction] = []
        for cut_off in self._book.interrupted(now):
            instructions += [cut_off, *self._events.drop(cut_off.step_id)]
        return [*instructions, *self.handed_over(now)]

    def _end(self, state: PlanState, now: int, name: str = "") -> list[Instruction]:
        self._note(name or ("pause execution" if state is PlanState.PAUSED else "finish execution"), now)
        return [
            *self._close(state, now, keep_requested=False),
            Answer(*self.asker, Done(), self.id),
            DropPlan(self.id),
        ]

    def _close(self, state: PlanState, now: int, keep_requested: bool) -> list[Instruction]:
        check_plan_move(self.id, PlanState.RUNNING, state)
        self.ended = True
        stopped = state is PlanState.STOPPED
        started_at = self._skeleton.started_at or now
        return [
            SavePlan(
                self.id,
                self._epoch,
                state,
                result_of(self._book.states()),
                self._history,
                now if stopped else None,
                self._book.execution_time if stopped else 0.0,
                (now - started_at) / _MICRO if stopped else 0.0,
                keep_requested=keep_requested,
            )
        ]

    def _note(self, name: str, now: int) -> None:
        self._history = (*self._history, HistoryEntry(now, name, self._world_id))
