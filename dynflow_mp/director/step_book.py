"""What is known of a plan's steps while it runs, and the writes that keep their rows true.

pending ─ mark ▶ running ─ save, fail ▶ success | error | suspended
            └─ unmark (never begun) ▶ as before
any ─ move ▶ skipping, skipped, pending again: what no call of the step's code brings about
"""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.instructions import Instruction
from dynflow_mp.model.flows import step_ids
from dynflow_mp.model.plans import PlanSkeleton, Setback
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import Phase, StepState, check_step_move
from dynflow_mp.model.work import ErrorRecord, OutputChunk, StepOutcome
from dynflow_mp.model.writes import AddChunks, MarkRunning, MoveStep, ResetStep, SaveOutcome, UnmarkRunning

_MICRO = 1_000_000
_CHUNKS_A_CALL, _CHUNKS_OF_RUN = 24, 60
"""As powers of two: more than anybody writes."""
PASSED = (StepState.SUCCESS, StepState.SKIPPED)
"""States behind which a flow goes on."""
_RUNNING, _PENDING, _ERROR = StepState.RUNNING, StepState.PENDING, StepState.ERROR
_SKIPPING, _SKIPPED = StepState.SKIPPING, StepState.SKIPPED
_WAITING = (_PENDING, _SKIPPING, StepState.SUSPENDED)
_NO_SETBACK, _NO_POLICY = Setback(), ActionPolicy()


class StepBook:
    """The run and finalize steps of one plan at one epoch. Owned by its running plan."""

    __slots__ = (
        "_before",
        "_epoch",
        "_policies",
        "_setbacks",
        "_skips",
        "_spent",
        "_started",
        "execution_time",
        "finalize_steps",
        "plan_id",
        "run_steps",
        "steps",
    )

    def __init__(self, skeleton: PlanSkeleton, epoch: int) -> None:
        self.plan_id, self._epoch = skeleton.id, epoch
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
        self._policies = skeleton.policies
        self._setbacks: dict[int, Setback] = dict(skeleton.setbacks)
        # Steps being skipped whose code has been sent the event; the others of that state only wait for it.
        self._skips: set[int] = set()
        self.execution_time = skeleton.planning_time + sum(self._spent.values())
        """Of all steps together, the plan's own among them (seconds)."""

    # -- looking -----------------------------------------------------------------------------------

    def passed(self, step_id: int) -> bool:
        """Whether the step ended well, or was skipped."""
        return self.steps.state(step_id) in PASSED

    def state_of(self, step_id: int) -> StepState | None:
        """None for what is no step of the plan's."""
        return self.steps.state(step_id) if step_id in self.steps else None

    def run_state_of(self, step_id: int) -> StepState | None:
        """As :meth:`state_of`, but None for a finalize step that is executed: nobody can tell it anything."""
        state = self.state_of(step_id)
        if state is _RUNNING and step_id in self.finalize_steps:
            return None
        return state

    def states(self) -> set[StepState]:
        """The distinct states of all steps."""
        return self.steps.states_of([*self.run_steps, *self.finalize_steps])

    def policy_of(self, step_id: int) -> ActionPolicy:
        """What the step's class asked for when the plan was made."""
        return self._policies.get(self.steps.kind(step_id).action_class, _NO_POLICY)

    def setback_of(self, step_id: int) -> Setback:
        """What the step has behind it."""
        return self._setbacks.get(step_id, _NO_SETBACK)

    def is_being_skipped(self, step_id: int) -> bool:
        """Whether the step's code is with a worker to take the event of being skipped."""
        return step_id in self._skips

    def is_with_a_worker(self, step_id: int) -> bool:
        """Whether the step's code has been sent and not answered for."""
        return self.steps.state(step_id) is _RUNNING or step_id in self._skips

    def waits(self, step_id: int) -> bool:
        """Whether the step waits: for its turn, for an event, or to be told that it is skipped."""
        return self.steps.state(step_id) in _WAITING and step_id not in self._skips

    # -- on their way ------------------------------------------------------------------------------

    def mark(self, step_ids: Iterable[int], now: int) -> list[Instruction]:
        """Run steps are about to leave."""
        marks: list[Instruction] = []
        steps, before, started = self.steps, self._before, self._started
        for step_id in step_ids:
            state = steps.state(step_id)
            if state is not _PENDING:
                if state is _SKIPPING:
                    marks.append(self._mark_skip(step_id))
                    continue
                before[step_id] = state
            check_step_move(self.plan_id, step_id, Phase.RUN, state, _RUNNING)
            attempt = steps.attempts(step_id) + 1
            steps.set_state(step_id, _RUNNING)
            steps.set_attempts(step_id, attempt)
            started.setdefault(step_id, now)
            marks.append(MarkRunning(self.plan_id, self._epoch, step_id, state, attempt, now))
        return marks

    def _mark_skip(self, step_id: int) -> MoveStep:
        """The step stays as it is, for whoever looks; that it was sent shows in its attempts."""
        self._skips.add(step_id)
        return self._move(step_id, _SKIPPING, self.steps.attempts(step_id) + 1)

    def begin_part(self, step_id: int, now: int) -> MarkRunning:
        """A finalize step begins."""
        check_step_move(self.plan_id, step_id, Phase.FINALIZE, self.steps.state(step_id), _RUNNING)
        attempt = self.steps.attempts(step_id) + 1
        self.steps.set_state(step_id, _RUNNING)
        self.steps.set_attempts(step_id, attempt)
        self._started.setdefault(step_id, now)
        return MarkRunning(self.plan_id, self._epoch, step_id, _PENDING, attempt, now)

    def in_vain(self, step_id: int) -> MoveStep:
        """A finalize step was called, and nothing of it is kept: it waits again, and the attempt counts."""
        begun = self.steps.state(step_id) is _RUNNING
        self._started.pop(step_id, None)
        return self._move(step_id, _PENDING, self.steps.attempts(step_id) + (not begun))

    def unmark(self, step_ids: Iterable[int]) -> list[Instruction]:
        """Steps that were sent were never begun: as if they had not been sent."""
        unmarks: list[Instruction] = []
        for step_id in step_ids:
            if step_id in self._skips:
                self._skips.discard(step_id)
                unmarks.append(self._move(step_id, _SKIPPING, self.steps.attempts(step_id) - 1))
            if self.steps.state(step_id) is not _RUNNING:
                continue
            attempt = self.steps.attempts(step_id)
            back_to = self._before.pop(step_id, _PENDING)
            self.steps.set_state(step_id, back_to)
            self.steps.set_attempts(step_id, attempt - 1)
            unmarks.append(UnmarkRunning(self.plan_id, self._epoch, step_id, back_to, attempt))
        return unmarks

    def reset(self, step_id: int) -> ResetStep:
        """A step that had ended waits again."""
        self.steps.set_state(step_id, _PENDING)
        self._setbacks.pop(step_id, None)
        return ResetStep(self.plan_id, self._epoch, step_id)

    def retry(self) -> list[ResetStep]:
        """Steps that failed in an earlier attempt at the plan wait again.

        While the plan runs, an error is one of this attempt: should its executor die now, the next one sees
        that this plan was only resumed, and goes on instead of handing the old error back.
        """
        return [self.reset(step_id) for step_id in self.failed()]

    def failed(self) -> list[int]:
        """The steps that are in error."""
        return self.in_state(_ERROR)

    def in_state(self, state: StepState) -> list[int]:
        """The steps that are in this state."""
        return self.steps.in_state([*self.run_steps, *self.finalize_steps], state)

    # -- what no call brings about -----------------------------------------------------------------

    def again(self, step_id: int, setback: Setback) -> MoveStep:
        """A step that failed is to be tried again by itself."""
        check_step_move(self.plan_id, step_id, Phase.RUN, self.steps.state(step_id), _PENDING)
        self._setbacks[step_id] = setback
        return self._move(step_id, _PENDING)

    def note_setback(self, step_id: int, setback: Setback) -> list[Instruction]:
        """A step that failed is not tried again: what it has behind it, if there is anything new."""
        if setback == self.setback_of(step_id):
            return []
        self._setbacks[step_id] = setback
        return [self._move(step_id, self.steps.state(step_id))]

    def skip(self, step_ids: Iterable[int]) -> list[Instruction]:
        """Those of these steps that failed or never ran are skipped; failed run steps are yet to be told.

        Others stay as they are, so that two failed steps may have a dependant in common.
        """
        finalize = set(self.finalize_steps)
        moves: list[Instruction] = []
        for step_id in step_ids:
            state = self.steps.state(step_id)
            if state is _ERROR and step_id not in finalize:
                moves.append(self._move(step_id, _SKIPPING))
            elif state in (_ERROR, _PENDING):
                moves.append(self._move(step_id, _SKIPPED, forget_error=True))
        return moves

    def skip_silent(self) -> list[Instruction]:
        """Failed steps that are being skipped and whose ``run`` takes no event are skipped without a call."""
        return [
            self._move(step_id, _SKIPPED, forget_error=True)
            for step_id in self.in_state(_SKIPPING)
            if not self.policy_of(step_id).accepts_event
        ]

    def _move(
        self, step_id: int, to_state: StepState, attempts: int | None = None, forget_error: bool = False
    ) -> MoveStep:
        steps = self.steps
        before, attempts_before = steps.state(step_id), steps.attempts(step_id)
        attempts = attempts_before if attempts is None else attempts
        steps.set_state(step_id, to_state)
        steps.set_attempts(step_id, attempts)
        due_at, retries, crashes = self.setback_of(step_id)
        return MoveStep(
            self.plan_id,
            self._epoch,
            step_id,
            before,
            attempts_before,
            to_state,
            attempts,
            due_at,
            retries or None,
            crashes or None,
            forget_error,
        )

    # -- what came of them -------------------------------------------------------------------------

    def save(
        self,
        outcome: StepOutcome,
        worker_pid: int | None = None,
        phase: Phase = Phase.RUN,
        before: StepState = _RUNNING,
    ) -> SaveOutcome:
        """What came of a running step, or of one that was being skipped; None: nobody knows who ran it."""
        step_id, state = outcome.step_id, outcome.state
        check_step_move(self.plan_id, step_id, phase, before, state)
        steps = self.steps
        steps.set_state(step_id, state)
        self._before.pop(step_id, None)
        self.execution_time += outcome.execution_time
        spent = self._spent.pop(step_id, 0.0) + outcome.execution_time
        ended_at = outcome.ended_at
        if state is StepState.SUCCESS and phase is Phase.RUN:  # it never runs again; finalize may start over
            started_at = self._started.pop(step_id, ended_at)
        else:
            self._spent[step_id] = spent
            started_at = self._started.get(step_id, ended_at)
        # The two stamps come from two readings of a wall clock that may have been set back between.
        real_time = max((ended_at - started_at) / _MICRO, spent)
        return SaveOutcome(
            self.plan_id,
            self._epoch,
            step_id,
            steps.action_id(step_id),
            before,
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
            worker_pid,
        )

    def chunks(self, step_id: int, chunks: tuple[OutputChunk, ...], phase: Phase = Phase.RUN) -> AddChunks:
        """What a call has written beside its output. Ids grow with the calls, those of finalize are above those of run."""
        base = self.steps.attempts(step_id) << _CHUNKS_A_CALL
        if phase is Phase.FINALIZE:
            base += 1 << _CHUNKS_OF_RUN
        return AddChunks(self.plan_id, self._epoch, self.steps.action_id(step_id), base, chunks)

    def save_skip(self, outcome: StepOutcome, worker_pid: int | None = None) -> SaveOutcome:
        """What came of telling a step that it is being skipped."""
        self._skips.discard(outcome.step_id)
        return self.save(outcome, worker_pid, before=_SKIPPING)

    def fail(self, step_id: int, error: ErrorRecord, now: int, worker_pid: int | None = None) -> SaveOutcome:
        """What came of a step that could not say so itself."""
        phase = Phase.FINALIZE if step_id in self.finalize_steps else Phase.RUN
        outcome = StepOutcome(step_id, _ERROR, now, 0.0, 0.0, None, error=error.to_bytes())
        self._skips.discard(step_id)
        return self.save(outcome, worker_pid, phase, self.steps.state(step_id))

    def cut_off(self) -> list[int]:
        """Steps that are stored as running although nobody runs them: their executor died."""
        return self.in_state(_RUNNING)
