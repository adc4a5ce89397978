"""One plan while this executor runs it: run phase, finalize phase, end.

    claim ─▶ run flow ─┬─ failed ────────────────────────────▶ paused
                       └─ done ─▶ finalize (one job) ─┬─ failed ─▶ paused
                                                      └─ done ───▶ stopped

Everything here is decided from what it is told; instructions come back as lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.director.cursor import FlowCursor
from dynflow_mp.director.events import EventBox, WaitingEvent
from dynflow_mp.director.protocol import (
    FINALIZE,
    Answer,
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
    attended,
)
from dynflow_mp.errors import AbnormalTermination, DynflowError, WorkerLost
from dynflow_mp.model.flows import step_ids
from dynflow_mp.model.messages import Done
from dynflow_mp.model.plans import HistoryEntry, PlanSkeleton
from dynflow_mp.model.states import (
    Phase,
    PlanState,
    Result,
    StepState,
    check_plan_move,
    check_step_move,
    result_of,
)
from dynflow_mp.model.work import ErrorRecord, PlannedEvent, StepOutcome
from dynflow_mp.model.writes import (
    ClaimPlan,
    ForgetEvents,
    MarkRunning,
    RecordEvent,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
)

_MICRO = 1_000_000
_PASSED = (StepState.SUCCESS, StepState.SKIPPED)
_RUNNING = StepState.RUNNING


class Asker(NamedTuple):
    """Who is to be told when this attempt at the plan ended."""

    client_id: str
    request_id: str

    @property
    def waits(self) -> bool:
        """Whether the answer is for anyone."""
        return attended(self.request_id)


class RunningPlan:
    """The director's memory of one plan. Owned by the director."""

    __slots__ = (
        "_before",
        "_cursor",
        "_epoch",
        "_events",
        "_execution_time",
        "_finalizing",
        "_history",
        "_run_steps",
        "_skeleton",
        "_spent",
        "_started",
        "_steps",
        "_world_id",
        "asker",
        "ended",
        "id",
    )

    def __init__(self, skeleton: PlanSkeleton, asker: Asker, world_id: str) -> None:
        self.id = skeleton.id
        self.ended = False
        self._skeleton = skeleton
        self.asker = asker
        """Who is told how this attempt ends."""
        self._world_id = world_id
        self._epoch = skeleton.lock_epoch + 1
        self._history = skeleton.history
        self._steps = skeleton.steps
        self._run_steps = list(step_ids(skeleton.run_flow))
        highest = max(self._run_steps, default=0)
        self._cursor = FlowCursor(skeleton.run_flow, highest, self._passed)
        self._events = EventBox(skeleton.events)
        self._finalizing = False
        # What begun steps have spent, only for those that were begun: when they first started,
        # and how long they ran in earlier calls.
        self._started: dict[int, int] = {
            step_id: times.started_at
            for step_id, times in skeleton.step_times.items()
            if times.started_at is not None
        }
        self._spent: dict[int, float] = {
            step_id: times.execution_time
            for step_id, times in skeleton.step_times.items()
            if times.execution_time
        }
        self._before: dict[int, StepState] = {}
        self._execution_time = skeleton.planning_time + sum(self._spent.values())

    @classmethod
    def left_by_the_dead(cls, skeleton: PlanSkeleton, asker: Asker) -> RunningPlan:
        """The plan as its owner left it, at the epoch the owner had; nothing but :meth:`abandoned` fits."""
        plan = cls(skeleton, asker, skeleton.owner_id or "")
        plan._epoch = skeleton.lock_epoch
        return plan

    # -- beginning ---------------------------------------------------------------------------------

    def claim(self, now: int) -> list[Instruction]:
        """Take the plan and hand out its first steps."""
        skeleton = self._skeleton
        check_plan_move(self.id, skeleton.state, PlanState.RUNNING)
        self._note("start execution", now)
        claim = ClaimPlan(
            self.id,
            self._world_id,
            skeleton.lock_epoch,
            self._history,
            skeleton.started_at or now,
            self.asker.client_id,
            self.asker.request_id,
        )
        interrupted = self._interrupted(now)
        if interrupted:
            return [claim, *interrupted, *self._end(PlanState.PAUSED, now)]
        return [claim, *self._retry(), *self._wake_ups(), *self._ready(self._cursor.start(), now)]

    def _retry(self) -> list[Instruction]:
        """Steps that failed in an earlier attempt at the plan wait again.

        While the plan runs, an error is one of this attempt: should its executor die now, the next one sees
        that this plan was only resumed, and goes on instead of handing the old error back.
        """
        steps = [*self._run_steps, *self._skeleton.finalize_step_ids]
        failed = list(self._steps.in_state(steps, StepState.ERROR))
        for step_id in failed:
            self._steps.set_state(step_id, StepState.PENDING)
        return [ResetStep(self.id, self._epoch, step_id) for step_id in failed]

    def _interrupted(self, now: int) -> list[SaveOutcome]:
        """Steps that are stored as running although nobody runs them: their executor died."""
        cut_off = [*self._run_steps, *self._skeleton.finalize_step_ids]
        return [
            self._fail(
                step_id,
                ErrorRecord(
                    _name_of(AbnormalTermination),
                    "abnormal termination (previous state: running)",
                    cause="supervisor_lost",
                ),
                now,
            )
            for step_id in self._steps.in_state(cut_off, _RUNNING)
        ]

    def _wake_ups(self) -> list[Instruction]:
        return [WakeAt(due_at, self.id, event_id) for event_id, due_at in self._events.due_times()]

    # -- steps on their way ------------------------------------------------------------------------

    def sent(self, step_ids: Iterable[int], now: int) -> list[Instruction]:
        """Mark steps as running, before they leave."""
        instructions: list[Instruction] = []
        steps, before, started = self._steps, self._before, self._started
        for step_id in step_ids:
            if step_id == FINALIZE:
                instructions += self._finalize_sent(now)
                continue
            state = steps.state(step_id)
            check_step_move(self.id, step_id, Phase.RUN, state, _RUNNING)
            attempt = steps.attempts(step_id) + 1
            steps.set_state(step_id, _RUNNING)
            steps.set_attempts(step_id, attempt)
            if state is not StepState.PENDING:
                before[step_id] = state
            started.setdefault(step_id, now)
            instructions.append(MarkRunning(self.id, self._epoch, step_id, state, attempt, now))
        return instructions

    def returned(self, step_ids: Iterable[int], now: int) -> list[Instruction]:
        """Steps that were sent were never begun: as if they had not been sent."""
        instructions: list[Instruction] = []
        for step_id in step_ids:
            if step_id == FINALIZE:
                instructions += self._finalize_returned()
                continue
            if self._steps.state(step_id) is not _RUNNING:
                continue
            attempt = self._steps.attempts(step_id)
            back_to = self._before.pop(step_id, StepState.PENDING)
            self._steps.set_state(step_id, back_to)
            self._steps.set_attempts(step_id, attempt - 1)
            instructions.append(UnmarkRunning(self.id, self._epoch, step_id, back_to, attempt))
        return instructions

    def finished(self, attempt: int, outcome: StepOutcome, now: int) -> list[Instruction]:
        """Store what came of a step and go on behind it. An outcome nobody waits for changes nothing."""
        step_id = outcome.step_id
        steps = self._steps
        if steps.state(step_id) is not _RUNNING or steps.attempts(step_id) != attempt:
            return []
        instructions: list[Instruction] = [self._save(step_id, outcome, _RUNNING)]
        if self._events:
            instructions += self._event_done(step_id)
        for planned in outcome.events:
            instructions += self._plan_event(planned, now)
        return self._go_on(step_id, outcome.state, instructions, now)

    def lost(self, news: StepLost, now: int) -> list[Instruction]:
        """The worker running a step died: an error that says how."""
        error = ErrorRecord(_name_of(WorkerLost), news.message, cause=news.cause)
        if news.step_id == FINALIZE:
            return self._finalize_lost(news.part, error, now)
        if self._steps.state(news.step_id) is not _RUNNING:
            return []
        instructions: list[Instruction] = [self._fail(news.step_id, error, now)]
        if self._events:
            instructions += self._event_done(news.step_id)
        return self._go_on(news.step_id, StepState.ERROR, instructions, now)

    def _go_on(
        self, step_id: int, state: StepState, instructions: list[Instruction], now: int
    ) -> list[Instruction]:
        """Behind a step that ended or suspended: its events, then what the flow yields."""
        if state is StepState.SUSPENDED:
            return instructions + self._next_event(step_id) if self._events else instructions
        if self._events:
            instructions += self._drop_events(step_id)
        ready = self._cursor.finish(step_id, state in _PASSED)
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
        parts = self._finalize_parts()
        if not parts:
            return self._end(PlanState.STOPPED, now)
        self._finalizing = True
        return [ReadyFinalize(self.id, parts)]

    # -- finalize ----------------------------------------------------------------------------------

    def _finalize_parts(self) -> list[int]:
        """All finalize steps but the skipped: the phase restarts whole (dynflow-core.md §10)."""
        return [
            step_id
            for step_id in self._skeleton.finalize_step_ids
            if self._steps.state(step_id) is not StepState.SKIPPED
        ]

    def _finalize_sent(self, now: int) -> list[Instruction]:
        parts = self._finalize_parts()
        instructions: list[Instruction] = []
        for step_id in parts:
            if self._steps.state(step_id) in (StepState.SUCCESS, StepState.ERROR):
                self._steps.set_state(step_id, StepState.PENDING)
                instructions.append(ResetStep(self.id, self._epoch, step_id))
        return [*instructions, self._begin_part(parts[0], now)]

    def _begin_part(self, step_id: int, now: int) -> MarkRunning:
        check_step_move(self.id, step_id, Phase.FINALIZE, self._steps.state(step_id), _RUNNING)
        attempt = self._steps.attempts(step_id) + 1
        self._steps.set_state(step_id, _RUNNING)
        self._steps.set_attempts(step_id, attempt)
        self._started.setdefault(step_id, now)
        return MarkRunning(self.id, self._epoch, step_id, StepState.PENDING, attempt, now)

    def _finalize_returned(self) -> list[Instruction]:
        first = self._finalize_parts()[0]
        attempt = self._steps.attempts(first)
        self._steps.set_state(first, StepState.PENDING)
        self._steps.set_attempts(first, attempt - 1)
        return [UnmarkRunning(self.id, self._epoch, first, StepState.PENDING, attempt)]

    def finalized(self, news: FinalizeFinished, now: int) -> list[Instruction]:
        """Store what came of the finalize phase; the plan ends with it."""
        if not self._finalizing:
            return []
        instructions: list[Instruction] = []
        for outcome in news.outcomes:
            begun_at = outcome.ended_at - int(outcome.execution_time * _MICRO)
            instructions += self._part_begun(outcome.step_id, begun_at)
            instructions.append(self._save(outcome.step_id, outcome, _RUNNING, Phase.FINALIZE))
        self._finalizing = False
        return instructions + self._finalize_ended(now)

    def _finalize_lost(self, part: int, error: ErrorRecord, now: int) -> list[Instruction]:
        """The worker died in the finalize phase: the part it was in failed, the others run again."""
        parts = self._finalize_parts()
        culprit = parts[min(part, len(parts) - 1)]
        instructions: list[Instruction] = []
        if culprit != parts[0]:
            instructions += self._finalize_returned()
        instructions += self._part_begun(culprit, now)
        instructions.append(self._fail(culprit, error, now, Phase.FINALIZE))
        self._finalizing = False
        return instructions + self._finalize_ended(now)

    def _part_begun(self, step_id: int, begun_at: int) -> list[Instruction]:
        """Only the first part is marked when the job leaves; the later ones are marked with their outcome."""
        if self._steps.state(step_id) is _RUNNING:
            return []
        return [self._begin_part(step_id, begun_at)]

    def _finalize_ended(self, now: int) -> list[Instruction]:
        states = self._steps.states_of(self._skeleton.finalize_step_ids)
        failed = not states <= set(_PASSED)
        return self._end(PlanState.PAUSED if failed else PlanState.STOPPED, now)

    # -- events ------------------------------------------------------------------------------------

    def take_event(self, event: EventArrived, now: int) -> list[Instruction]:
        """Record an event for a step and, if the step waits idle, run it with it."""
        if self._events.knows(event.request_id):
            return []
        state = self._state_of(event.step_id)
        if state not in (_RUNNING, StepState.SUSPENDED):
            return [self._events.refusal(self.id, event, state)]
        waiting = WaitingEvent(event.request_id, event.data, event.client_id, event.due_at)
        self._events.add(event.step_id, waiting)
        record = RecordEvent(
            self.id,
            self._epoch,
            event.step_id,
            event.request_id,
            event.data,
            event.client_id,
            event.due_at,
        )
        if event.due_at is not None and event.due_at > now:
            return [record, WakeAt(event.due_at, self.id, event.request_id)]
        self._events.due(event.request_id)
        return [record, *self._next_event(event.step_id)]

    def event_due(self, event_id: str) -> list[Instruction]:
        """The time of a stored event came."""
        step_id = self._events.due(event_id)
        return [] if step_id is None else self._next_event(step_id)

    def _plan_event(self, planned: PlannedEvent, now: int) -> list[Instruction]:
        """An event that an action of this plan asked for, for itself or for another step."""
        due_at = now + int(planned.delay_s * _MICRO) if planned.delay_s else None
        if planned.plan_id != self.id:
            return [SendEvent(planned)]
        event_id = self._events.own_id(self.id, self._epoch)
        return self.take_event(
            EventArrived(self.id, planned.step_id, None, event_id, planned.data, True, due_at), now
        )

    def _event_done(self, step_id: int) -> list[Instruction]:
        """The event the step was called with is done with, whatever came of the call."""
        taken = self._events.done(step_id)
        if taken is None:
            return []
        forget = ForgetEvents(self.id, self._epoch, (taken.id,))
        return [forget, *self._events.accepted(self.id, taken)]

    def _drop_events(self, step_id: int) -> list[Instruction]:
        """The step ended: it takes no more events."""
        dropped = self._events.drop(step_id)
        if not dropped:
            return []
        forget = ForgetEvents(self.id, self._epoch, tuple(event.id for event in dropped))
        return [forget, *self._events.refusals(self.id, step_id, dropped)]

    def _next_event(self, step_id: int) -> list[Instruction]:
        if self._state_of(step_id) is not StepState.SUSPENDED:
            return []
        event = self._events.take(step_id)
        return [] if event is None else [ReadyEvent(self.id, step_id, event.data)]

    def _state_of(self, step_id: int) -> StepState | None:
        return self._steps.state(step_id) if step_id in self._steps else None

    # -- ending ------------------------------------------------------------------------------------

    def handed_over(self, now: int, successor_may_run: bool = True) -> list[Instruction]:
        """This executor ends: leave the plan paused and still requested, for the next one."""
        self._note("terminate execution", now)
        failed = StepState.ERROR in self._states()
        ending = self._close(PlanState.PAUSED, now, keep_requested=not failed)
        if failed or not successor_may_run:
            return [*ending, Answer(*self.asker, Done(), self.id), DropPlan(self.id)]
        return [*ending, HandOver(self.id, *self.asker), DropPlan(self.id)]

    def abandoned(self, now: int) -> list[Instruction]:
        """Its executor died: steps that were running are errors, the rest is handed over."""
        instructions: list[Instruction] = []
        for cut_off in self._interrupted(now):
            instructions += [cut_off, *self._drop_events(cut_off.step_id)]
        return [*instructions, *self.handed_over(now)]

    def _end(self, state: PlanState, now: int) -> list[Instruction]:
        self._note("pause execution" if state is PlanState.PAUSED else "finish execution", now)
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
                self._result(),
                self._history,
                now if stopped else None,
                self._execution_time if stopped else 0.0,
                (now - started_at) / _MICRO if stopped else 0.0,
                keep_requested=keep_requested,
            )
        ]

    def _result(self) -> Result:
        return result_of(self._states())

    def _states(self) -> set[StepState]:
        return self._steps.states_of([*self._run_steps, *self._skeleton.finalize_step_ids])

    def _note(self, name: str, now: int) -> None:
        self._history = (*self._history, HistoryEntry(now, name, self._world_id))

    # -- step rows ---------------------------------------------------------------------------------

    def _save(
        self,
        step_id: int,
        outcome: StepOutcome,
        from_state: StepState,
        phase: Phase = Phase.RUN,
    ) -> SaveOutcome:
        state = outcome.state
        check_step_move(self.id, step_id, phase, from_state, state)
        steps = self._steps
        steps.set_state(step_id, state)
        self._before.pop(step_id, None)
        self._execution_time += outcome.execution_time
        spent = self._spent.pop(step_id, 0.0) + outcome.execution_time
        ended_at = outcome.ended_at
        if state is StepState.SUCCESS:
            started_at = self._started.pop(step_id, ended_at)
        else:
            self._spent[step_id] = spent
            started_at = self._started.get(step_id, ended_at)
        # The two stamps come from two readings of a wall clock that may have been set back between.
        real_time = max((ended_at - started_at) / _MICRO, spent)
        return SaveOutcome(
            self.id,
            self._epoch,
            step_id,
            steps.action_id(step_id),
            from_state,
            steps.attempts(step_id),
            state,
            ended_at,
            spent,
            real_time,
            outcome.progress_done,
            outcome.progress_weight,
            outcome.output,
            outcome.input,
            outcome.error,
        )

    def _fail(self, step_id: int, error: ErrorRecord, now: int, phase: Phase | None = None) -> SaveOutcome:
        """The outcome of a step that could not say itself what came of it."""
        if phase is None:
            finalize = step_id in self._skeleton.finalize_step_ids
            phase = Phase.FINALIZE if finalize else Phase.RUN
        outcome = StepOutcome(step_id, StepState.ERROR, now, 0.0, 0.0, None, error=error.to_bytes())
        return self._save(step_id, outcome, _RUNNING, phase)

    def _passed(self, step_id: int) -> bool:
        return self._steps.state(step_id) in _PASSED


def _name_of(kind: type[DynflowError]) -> str:
    """As errors of steps are recorded: readers find the class again by it."""
    return f"{kind.__module__}.{kind.__qualname__}"
