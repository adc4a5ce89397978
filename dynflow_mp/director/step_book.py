"""What is known of a plan's steps while it runs, and the writes that keep their rows true.

pending ─ mark ▶ running ─ save, fail ▶ success | error | suspended
            └─ unmark (never begun) ▶ as before
"""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.protocol import Instruction
from dynflow_mp.errors import AbnormalTermination
from dynflow_mp.model.flows import step_ids
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.states import Phase, StepState, check_step_move
from dynflow_mp.model.stops import name_of
from dynflow_mp.model.work import ErrorRecord, OutputChunk, StepOutcome
from dynflow_mp.model.writes import AddChunks, MarkRunning, ResetStep, SaveOutcome, UnmarkRunning

_MICRO = 1_000_000
_CHUNKS_A_CALL, _CHUNKS_OF_RUN = 24, 60
"""As powers of two: more than anybody writes."""
PASSED = (StepState.SUCCESS, StepState.SKIPPED)
"""States behind which a flow goes on."""
_RUNNING, _PENDING = StepState.RUNNING, StepState.PENDING


class StepBook:
    """The run and finalize steps of one plan at one epoch. Owned by its running plan."""

    __slots__ = (
        "_before",
        "_epoch",
        "_plan_id",
        "_spent",
        "_started",
        "execution_time",
        "finalize_steps",
        "run_steps",
        "steps",
    )

    def __init__(self, skeleton: PlanSkeleton, epoch: int) -> None:
        self._plan_id, self._epoch = skeleton.id, epoch
        self.steps = skeleton.steps
        self.run_steps = list(step_ids(skeleton.run_flow))
        self.finalize_steps = skeleton.finalize_step_ids
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
        self.execution_time = skeleton.planning_time + sum(self._spent.values())
        """Of all steps together, the plan's own among them (seconds)."""

    # -- looking -----------------------------------------------------------------------------------

    def passed(self, step_id: int) -> bool:
        """Whether the step ended well, or was skipped."""
        return self.steps.state(step_id) in PASSED

    def state_of(self, step_id: int) -> StepState | None:
        """None for what is no step of the plan's."""
        return self.steps.state(step_id) if step_id in self.steps else None

    def states(self) -> set[StepState]:
        """The distinct states of all steps."""
        return self.steps.states_of([*self.run_steps, *self.finalize_steps])

    # -- on their way ------------------------------------------------------------------------------

    def mark(self, step_ids: Iterable[int], now: int) -> list[Instruction]:
        """Run steps are about to leave."""
        marks: list[Instruction] = []
        steps, before, started = self.steps, self._before, self._started
        for step_id in step_ids:
            state = steps.state(step_id)
            check_step_move(self._plan_id, step_id, Phase.RUN, state, _RUNNING)
            attempt = steps.attempts(step_id) + 1
            steps.set_state(step_id, _RUNNING)
            steps.set_attempts(step_id, attempt)
            if state is not _PENDING:
                before[step_id] = state
            started.setdefault(step_id, now)
            marks.append(MarkRunning(self._plan_id, self._epoch, step_id, state, attempt, now))
        return marks

    def begin_part(self, step_id: int, now: int) -> MarkRunning:
        """A finalize step begins."""
        check_step_move(self._plan_id, step_id, Phase.FINALIZE, self.steps.state(step_id), _RUNNING)
        attempt = self.steps.attempts(step_id) + 1
        self.steps.set_state(step_id, _RUNNING)
        self.steps.set_attempts(step_id, attempt)
        self._started.setdefault(step_id, now)
        return MarkRunning(self._plan_id, self._epoch, step_id, _PENDING, attempt, now)

    def unmark(self, step_ids: Iterable[int]) -> list[Instruction]:
        """Steps that were sent were never begun: as if they had not been sent."""
        unmarks: list[Instruction] = []
        for step_id in step_ids:
            if self.steps.state(step_id) is not _RUNNING:
                continue
            attempt = self.steps.attempts(step_id)
            back_to = self._before.pop(step_id, _PENDING)
            self.steps.set_state(step_id, back_to)
            self.steps.set_attempts(step_id, attempt - 1)
            unmarks.append(UnmarkRunning(self._plan_id, self._epoch, step_id, back_to, attempt))
        return unmarks

    def reset(self, step_id: int) -> ResetStep:
        """A step that had ended waits again."""
        self.steps.set_state(step_id, _PENDING)
        return ResetStep(self._plan_id, self._epoch, step_id)

    def retry(self) -> list[ResetStep]:
        """Steps that failed in an earlier attempt at the plan wait again.

        While the plan runs, an error is one of this attempt: should its executor die now, the next one sees
        that this plan was only resumed, and goes on instead of handing the old error back.
        """
        return [self.reset(step_id) for step_id in self.in_state(StepState.ERROR)]

    def in_state(self, state: StepState) -> list[int]:
        """The steps that are in this state."""
        return self.steps.in_state([*self.run_steps, *self.finalize_steps], state)

    # -- what came of them -------------------------------------------------------------------------

    def save(self, outcome: StepOutcome, phase: Phase = Phase.RUN) -> SaveOutcome:
        """What came of a running step."""
        step_id, state = outcome.step_id, outcome.state
        check_step_move(self._plan_id, step_id, phase, _RUNNING, state)
        steps = self.steps
        steps.set_state(step_id, state)
        self._before.pop(step_id, None)
        self.execution_time += outcome.execution_time
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
            self._plan_id,
            self._epoch,
            step_id,
            steps.action_id(step_id),
            _RUNNING,
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

    def chunks(self, step_id: int, chunks: tuple[OutputChunk, ...], phase: Phase = Phase.RUN) -> AddChunks:
        """What a call has written beside its output. Ids grow with the calls, those of finalize are above those of run."""
        base = self.steps.attempts(step_id) << _CHUNKS_A_CALL
        if phase is Phase.FINALIZE:
            base += 1 << _CHUNKS_OF_RUN
        return AddChunks(self._plan_id, self._epoch, self.steps.action_id(step_id), base, chunks)

    def fail(self, step_id: int, error: ErrorRecord, now: int) -> SaveOutcome:
        """What came of a running step that could not say so itself."""
        phase = Phase.FINALIZE if step_id in self.finalize_steps else Phase.RUN
        outcome = StepOutcome(step_id, StepState.ERROR, now, 0.0, 0.0, None, error=error.to_bytes())
        return self.save(outcome, phase)

    def interrupted(self, now: int) -> list[SaveOutcome]:
        """Steps that are stored as running although nobody runs them: their executor died."""
        error = ErrorRecord(
            name_of(AbnormalTermination),
            "abnormal termination (previous state: running)",
            cause="supervisor_lost",
        )
        return [self.fail(step_id, error, now) for step_id in self.in_state(_RUNNING)]
