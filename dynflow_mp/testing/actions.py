"""Functions that take one action through its phases, without processes, worlds or databases."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.context import Context
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.clock import now_us
from dynflow_mp.errors import MissingOutput
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.model.sub_plans import NewSubPlan
from dynflow_mp.model.work import FinalizeJob, FinalizePart, PlannedEvent, StepJob, StepOutcome
from dynflow_mp.planning.plan_context import PlanContext, context_of
from dynflow_mp.planning.sub_plans import sub_planner
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.testing.clock import ManagedClock
from dynflow_mp.testing.rehearsal import Rehearsal, Stub, checked_class, on, rehearsal_of

A = TypeVar("A", bound=Action)


class WakeUp(NamedTuple):
    """An event that an action asked for, to its own step."""

    step_id: int
    event: Any
    optional: bool = False


class ActionState(NamedTuple):
    """How an action's last call of run or finalize ended."""

    state: StepState
    progress_done: float
    error: RecordedError | None
    events: tuple[WakeUp, ...]
    """The events it asked for that have not come yet."""
    sub_plans: tuple[PlannedPlan, ...] = ()
    """What it triggered in that call, planned and not run."""


# -- plan ----------------------------------------------------------------------------------------------


def create_action(kind: type[A], trigger: Action | None = None, *, clock: ManagedClock | None = None) -> A:
    """An action that can be planned; ``trigger`` is the action on whose behalf, as of a subscriber."""
    checked_class(kind)
    rehearsal = Rehearsal(clock) if trigger is None else rehearsal_of(trigger)
    action: Any = rehearsal.create(kind, trigger)
    action._rehearsal = rehearsal
    made: A = action
    return made


def plan_action(action: A, /, *args: Any, **kwargs: Any) -> A:
    """Call the action's ``plan``; what it plans is recorded, not planned. Raises what ``plan`` raises."""
    rehearsal_of(action).rehearse(action, args, kwargs)
    return action


def create_and_plan_action(kind: type[A], /, *args: Any, **kwargs: Any) -> A:
    """Both in one."""
    return plan_action(create_action(kind), *args, **kwargs)


def stub_planned_action(action: Action, kind: type[A], how: Callable[[A], object]) -> None:
    """Before ``action`` is planned: have ``how`` called with every action of class ``kind`` that it plans."""
    rehearsal_of(action).stub(checked_class(kind), how)


# -- run -----------------------------------------------------------------------------------------------


def run_action(
    action: A,
    event: Any = None,
    stub: Stub | None = None,
    *,
    outputs: Mapping[Action, Mapping[str, Any]] | None = None,
) -> A:
    """Call ``run`` once. Of a planned action: on a copy in phase run, which is returned; of such a copy: again.

    ``event`` wakes it. ``stub`` is called with the action before each of its calls, to replace what reaches
    outside. ``outputs`` gives planned actions, whose outputs the input refers to, something to have written.
    Raises what ``run`` raises. The returned action has ``state``: suspended or success.
    """
    rehearsal = rehearsal_of(action)
    if isinstance(action._context, PlanContext):
        context = action._context
        _required(context.run_step_id, action, "run")
        ran = _Ran(rehearsal, type(action), _first_job(action, outputs or {}), stub)
        ran.finalize_step_id = context.finalize_step_id
    else:
        ran = _ran(action)
        ran.stub = stub or ran.stub
    ran.call(event)
    returned: A = ran.action
    return returned


def progress_action_time(action: A) -> A | None:
    """Jump to the next time the action asked to be woken at, and wake it; events without a time come first.

    None if it asked for nothing, or if it did not wait any more. Raises what ``run`` raises.
    """
    ran = _ran(action)
    return action if ran.progress() else None


def state_of(action: Action) -> ActionState:
    """How the action's last call ended."""
    ran = _ran(action)
    outcome = ran.outcome
    assert outcome is not None  # one is only handed out after its call
    error = None if outcome.error is None else RecordedError.from_bytes(outcome.error)
    return ActionState(outcome.state, outcome.progress_done, error, ran.expected, ran.triggered)


def clock_of(action: Action) -> ManagedClock:
    """The clock of this action and all that is planned with it."""
    return rehearsal_of(action).clock


# -- finalize ------------------------------------------------------------------------------------------


def finalize_action(
    action: A, stub: Stub | None = None, *, outputs: Mapping[Action, Mapping[str, Any]] | None = None
) -> A:
    """Call ``finalize`` on a copy in phase finalize, which has the output that ``run`` left. Raises what it raises."""
    rehearsal = rehearsal_of(action)
    if isinstance(action._context, PlanContext):
        job = _first_job(action, outputs or {})
        step_id = context_of(action).finalize_step_id
    else:
        ran = _ran(action)
        job, step_id = ran.next_job(None), ran.finalize_step_id
    part = FinalizePart(
        _required(step_id, action, "finalize"),
        job.action_id,
        1,
        job.action_class,
        job.input,
        job.references,
        job.output,
    )
    finalized: list[Any] = []

    def prepare(made: Action) -> None:
        finalized.append(made)
        if stub is not None:
            stub(made)

    with on(rehearsal.clock):
        (outcome,) = run_finalize(
            FinalizeJob(job.plan_id, (part,), job.producers or {}), None, rehearsal.max_payload, prepare
        )
    _raise_if_failed(outcome, finalized[-1:])
    _dress(finalized[0], rehearsal)
    returned: A = finalized[0]
    return returned


# -- present -------------------------------------------------------------------------------------------


def create_action_presentation(
    kind: type[A],
    input: Mapping[str, Any] | None = None,  # noqa: A002 - what Dynflow and the users call it
    output: Mapping[str, Any] | None = None,
    state: StepState | str = StepState.SUCCESS,
) -> A:
    """An action to be looked at, for what its class says about it; its input and output can be set."""
    presented = _Presented(dict(input or {}), dict(output or {}), StepState(state))
    return action_in(checked_class(kind), presented)  # type: ignore[return-value]


class _Presented(Context):
    __slots__ = ("_input", "_output", "_state")
    phase = Phase.PRESENT

    def __init__(self, given: dict[str, Any], written: dict[str, Any], state: StepState) -> None:
        self._input, self._output, self._state = given, written, state

    def get_input(self) -> dict[str, Any]:
        return self._input

    def set_input(self, value: dict[str, Any]) -> None:
        self._input = value

    def get_output(self) -> dict[str, Any]:
        return self._output

    def set_output(self, value: dict[str, Any]) -> None:
        self._output = value

    @property
    def plan_id(self) -> str:
        return ""

    @property
    def action_id(self) -> int:
        return 0

    @property
    def run_step_id(self) -> None:
        return None

    @property
    def finalize_step_id(self) -> None:
        return None

    @property
    def state(self) -> str:
        return str(self._state)

    def planned_actions(self, kind: type[Action] | None) -> list[Action]:
        return []

    def all_planned_actions(self, kind: type[Action] | None) -> list[Action]:
        return []

    def steps(self) -> list[Any]:
        return [None, None, None]


# -- an action that runs -------------------------------------------------------------------------------


class _Ran:
    """The life of one action's run step. The action handed out stays the same object through all its calls."""

    def __init__(self, rehearsal: Rehearsal, kind: type[Action], job: StepJob, stub: Stub | None) -> None:
        self.rehearsal, self.stub = rehearsal, stub
        self.action: Any = kind.__new__(kind)
        self.outcome: StepOutcome | None = None
        self.finalize_step_id: int | None = None
        self._later: list[WakeUp] = []
        self._now: list[WakeUp] = []
        self._job = job

    @property
    def triggered(self) -> tuple[PlannedPlan, ...]:
        """The sub-plans of its last call."""
        return (
            ()
            if self.outcome is None
            else tuple(plan_from_bytes(NewSubPlan.from_bytes(data).plan) for data in self.outcome.plans)
        )

    @property
    def expected(self) -> tuple[WakeUp, ...]:
        """The events it asked for that have not come yet: those that wait for nothing, then those for their time."""
        return (*self._now, *self._later)

    def call(self, event: Any) -> None:
        """Call ``run`` once, in an object of its own as in a worker; the handed-out action shows what it did."""
        data = None if event is None else encode(event, "event", self.rehearsal.max_payload)
        job = self.next_job(data)
        made: list[Any] = []

        def prepare(action: Action) -> None:
            made.append(action)
            if self.stub is not None:
                self.stub(action)

        with on(self.rehearsal.clock):
            outcome = run_step(job, self.rehearsal.max_payload, sub_planner(now_us, os.urandom), prepare)
        self._job, self.outcome = job, outcome
        if made:
            vars(self.action).update(vars(made[0]))
            _dress(self.action, self.rehearsal, self)
        _raise_if_failed(outcome, made)
        for planned in outcome.events:
            self._plan(planned)

    def next_job(self, event: bytes | None) -> StepJob:
        """What the next call of the action is given."""
        job, last = self._job, self.outcome
        if last is None:
            return job._replace(event=event)
        resolved = last.input is not None
        return job._replace(
            attempt=job.attempt + 1,
            event=event,
            input=last.input if last.input is not None else job.input,
            references=None if resolved else job.references,
            output=last.output if last.output is not None else job.output,
        )

    # -- events it asked for ---------------------------------------------------------------------------

    def _plan(self, planned: PlannedEvent) -> None:
        if planned.step_id != self._job.step_id or planned.plan_id != self._job.plan_id:
            return  # for somebody else
        wake_up = WakeUp(planned.step_id, decode(planned.data), planned.optional)
        if planned.delay_s:
            self._later.append(wake_up)
            self.rehearsal.clock.after(planned.delay_s, self._arrive, wake_up)
        else:
            self._now.append(wake_up)

    def _arrive(self, wake_up: WakeUp) -> None:
        self._later.remove(wake_up)
        self._now.append(wake_up)

    def progress(self) -> bool:
        """Take the next event; False if there is none, or if nobody waits for it."""
        if not self._now and not self.rehearsal.clock.progress():
            return False
        if not self._now or self.outcome is None or self.outcome.state is not StepState.SUSPENDED:
            self._now.clear()
            return False
        self.call(self._now.pop(0).event)
        return True


def _first_job(action: Action, outputs: Mapping[Action, Mapping[str, Any]]) -> StepJob:
    """What a worker would be given for the planned action."""
    context = context_of(action)
    if context.is_open:
        raise TypeError(f"{action!r} was not planned yet: plan_action comes first")
    planned = context.as_action(None)
    producers = {
        producer.id: encode(dict(output), "output", rehearsal_of(action).max_payload)
        for producer, output in outputs.items()
    }
    step_id = context.run_step_id or context.finalize_step_id or 0
    return StepJob(
        context.plan_id,
        step_id,
        planned.id,
        1,
        planned.action_class,
        planned.input,
        planned.references,
        producers or None,
    )


def _ran(action: Action) -> _Ran:
    ran = vars(action).get("_ran")
    if not isinstance(ran, _Ran):
        raise TypeError(f"{action!r} has not run: run_action makes one that has")
    return ran


def _required(step_id: int | None, action: Action, phase: str) -> int:
    if step_id is None:
        raise TypeError(f"{action!r} has no {phase} step: plan_self was not called, or there is no {phase}()")
    return step_id


def _dress(action: Any, rehearsal: Rehearsal, ran: _Ran | None = None) -> None:
    """What a test may want to see of the action besides what it is."""
    action._rehearsal, action._ran = rehearsal, ran


def _raise_if_failed(outcome: StepOutcome, made: list[Any]) -> None:
    """The exception itself where the action had been made; else what was recorded of it."""
    if outcome.state is not StepState.ERROR:
        return
    original = made[0]._context.failure if made else None
    assert outcome.error is not None  # an error has one
    error = original or RecordedError.from_bytes(outcome.error).exception
    if isinstance(error, MissingOutput):
        error.add_note(
            "in a test, run_action(action, outputs={planned_action: {…}}) says what others have written"
        )
    raise error
