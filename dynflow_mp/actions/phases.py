"""A job in, an outcome out: what a worker process does with an action class.

No exception of a user's code leaves this module: whatever it is, it becomes the step's error. Each
call has a context of its own: what it sets there (context variables, decimal precision) ends with it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from time import perf_counter
from typing import Any

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.calls import FinalizeCall, NewChunks, RunCall
from dynflow_mp.actions.class_facts import ClassFacts, facts_of
from dynflow_mp.actions.definition import refuse_unfinished
from dynflow_mp.actions.layers import finalized_within
from dynflow_mp.actions.middleware import Layers, world_middleware
from dynflow_mp.actions.output_chunks import KeptChunks
from dynflow_mp.actions.sub_plan import SubPlanner
from dynflow_mp.actions.unwinding import Suspended
from dynflow_mp.errors import StepError, UnknownAction
from dynflow_mp.model.codec import MAX_PAYLOAD, decode
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import FinalizeJob, FinalizePart, StepJob, StepOutcome

_SUCCESS, _SUSPENDED = StepState.SUCCESS, StepState.SUSPENDED

Prepare = Callable[[Action], object]
"""Is given the action before its code is called: how tests get hold of it."""


def run_step(
    job: StepJob,
    max_payload: int = MAX_PAYLOAD,
    plan_sub_plan: SubPlanner | None = None,
    prepare: Prepare | None = None,
    new_chunks: NewChunks = KeptChunks,
) -> StepOutcome:
    """Call the action's ``run`` once and say what came of it.

    ``plan_sub_plan`` plans what it triggers, ``new_chunks`` says where its output chunks go, if there are any.
    """
    begun = perf_counter()
    call = RunCall(job, max_payload, plan_sub_plan, new_chunks)
    facts: ClassFacts | None = None
    action: Any = None
    try:
        facts = facts_of(job.action_class)
        action = action_in(facts.kind, call)
        if job.references is not None:
            call.resolve_input(job.producers or {}, {})
        if prepare is not None:
            prepare(action)
        call_run = copy_context().run
        run = action.run if facts.layered is None else facts.layered.running(action)
        if job.skipping:
            return _skip(job, call, facts, action, begun, run)
        returned = call_run(run) if job.event is None else call_run(_wake, run, facts, job.event)
        if returned is not None:
            refuse_unfinished("run", returned)
        state = _SUCCESS
    except Suspended:
        state = _SUSPENDED
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: a step's end, never the worker's
        state = call.fail(error)
    return call.outcome(job.step_id, state, facts, action, begun)


def _skip(
    job: StepJob, call: RunCall, facts: ClassFacts, action: Any, begun: float, run: Callable[..., Any]
) -> StepOutcome:
    """Tell a failed step that it is being skipped, so that it may clean up or leave what others need of it.

    The event of a step that is being skipped is the strategy itself: ``event is Skip`` holds. It cannot wait.
    """
    state = StepState.SKIPPED
    try:
        if facts.takes_event:
            returned = copy_context().run(run, RescueStrategy.SKIP)
            if returned is not None:
                refuse_unfinished("run", returned)
    except Suspended:
        state = call.fail(StepError("a step that is being skipped cannot be suspended"))
    except BaseException as error:  # as in run_step
        state = call.fail(error)
    return call.outcome(job.step_id, state, facts, action, begun)


def run_finalize(
    job: FinalizeJob,
    on_part: Callable[[FinalizePart], object] | None = None,
    max_payload: int = MAX_PAYLOAD,
    prepare: Prepare | None = None,
) -> tuple[StepOutcome, ...]:
    """Call ``finalize`` of one part after the other, up to the first that fails.

    ``on_part`` is told each part before it begins. Parts behind a failed one have no outcome.
    """
    outcomes: list[StepOutcome] = []
    decoded: dict[int, Any] = {}

    def all_parts() -> BaseException | None:
        """The error of the first part that fails."""
        for part in job.parts:
            if on_part is not None:
                on_part(part)
            outcome, error = _finalize(job, part, decoded, max_payload, prepare)
            outcomes.append(outcome)
            if error is not None:
                return error
        return None

    layers = _around_phase(job.root_class)
    if not layers:
        all_parts()
        return tuple(outcomes)
    return finalized_within(layers, job, all_parts, outcomes)


def _around_phase(root_class: str) -> Layers:
    """What stands around a plan's finalize phase; a root whose class is gone does not keep others from theirs."""
    try:
        layered = facts_of(root_class).layered
    except UnknownAction:
        return world_middleware().outermost.finalize_phase
    return () if layered is None else layered.around.finalize_phase


def _finalize(
    job: FinalizeJob, part: FinalizePart, decoded: dict[int, Any], limit: int, prepare: Prepare | None
) -> tuple[StepOutcome, BaseException | None]:
    begun = perf_counter()
    call = FinalizeCall(job.plan_id, part, limit)
    facts: ClassFacts | None = None
    action: Any = None
    try:
        facts = facts_of(part.action_class)
        action = action_in(facts.kind, call)
        if part.references is not None:
            call.resolve_input(job.producers, decoded)
        if prepare is not None:
            prepare(action)
        finalize = action.finalize if facts.layered is None else facts.layered.finalizing(action)
        returned = copy_context().run(finalize)
        if returned is not None:
            refuse_unfinished("finalize", returned)
        state = _SUCCESS
    except BaseException as error:  # as in run_step
        state = call.fail(error)
    return call.outcome(part.step_id, state, facts, action, begun), call.failure


def _wake(run: Callable[..., Any], facts: ClassFacts, event: bytes) -> Any:
    value = decode(event)
    if value is None:  # "no event" has always been None: a timer that only wakes
        return run()
    if facts.takes_event:
        return run(value)
    raise StepError(f"{facts.kind.__name__} got an event, but its run() takes none")
