"""A job in, an outcome out: what a worker process does with an action class.

No exception of a user's code leaves this module: whatever it is, it becomes the step's error. Each
call has a context of its own: what it sets there (context variables, decimal precision) ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context
from math import isfinite
from time import perf_counter, time_ns
from typing import Any, NamedTuple, NoReturn

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.context import Context, SuspendedAction
from dynflow_mp.actions.definition import refuse_unfinished
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.layers import Layered, finalized_within, layered
from dynflow_mp.actions.middleware import Layers, MiddlewareRules, set_world_middleware, world_middleware
from dynflow_mp.actions.output_chunks import ChunkSink, KeptChunks, numbered
from dynflow_mp.actions.planned_event import planned_event
from dynflow_mp.actions.policy import accepts_event
from dynflow_mp.actions.progress import finite, weight_of
from dynflow_mp.actions.registry import registry
from dynflow_mp.actions.sub_plan import SubPlan, SubPlanner, Triggering
from dynflow_mp.actions.unwinding import Failed, Suspended
from dynflow_mp.errors import MissingOutput, StepError, UnknownAction
from dynflow_mp.model.codec import EMPTY, MAX_PAYLOAD, decode, encode, path_text
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.references import Key, reference_text
from dynflow_mp.model.retries import Retry
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.model.sub_plans import Briefing, Orders
from dynflow_mp.model.work import FinalizeJob, FinalizePart, PlannedEvent, StepJob, StepOutcome

DEFAULT_PROGRESS = 0.5
NewChunks = Callable[[int], ChunkSink]
"""Makes the place for the output chunks of a step."""

_SUCCESS, _SUSPENDED, _ERROR = StepState.SUCCESS, StepState.SUSPENDED, StepState.ERROR
_RUNNING = StepState.RUNNING


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
    call = _RunCall(job, max_payload, plan_sub_plan, new_chunks)
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
    job: StepJob, call: _RunCall, facts: ClassFacts, action: Any, begun: float, run: Callable[..., Any]
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
    call = _FinalizeCall(job.plan_id, part, limit)
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


# -- what is known of a class ------------------------------------------------------------------------


class ClassFacts(NamedTuple):
    """What does not change between the steps of one class."""

    kind: type[Action]
    takes_event: bool
    retry: Retry | None
    run_pair: tuple[float, float] | None
    """Progress and weight where the class overrides neither method; None: they must be asked."""
    finalize_pair: tuple[float, float] | None
    layered: Layered | None
    """What stands around its calls; None, and free of charge, where nothing does."""


_facts: dict[str, ClassFacts] = {}
_facts_generation = -1


def use_middleware(rules: MiddlewareRules) -> None:
    """From now on these rules stand around the classes of this process: a worker is of one world."""
    set_world_middleware(rules)
    _facts.clear()


def facts_of(name: str) -> ClassFacts:
    """The facts of the class stored as ``name``. Raises :class:`UnknownAction`."""
    global _facts_generation
    if _facts_generation != registry.generation:
        _facts.clear()
        _facts_generation = registry.generation
    facts = _facts.get(name)
    if facts is None:
        facts = _facts[name] = _gather(registry.find(name))
    return facts


def _gather(kind: type[Action]) -> ClassFacts:
    return ClassFacts(
        kind,
        accepts_event(kind),
        kind.retry if isinstance(kind.retry, Retry) else None,
        _constant_pair(kind.run_progress is Action.run_progress, kind.run_progress_weight),
        _constant_pair(kind.finalize_progress is Action.finalize_progress, kind.finalize_progress_weight),
        layered(kind, world_middleware()),
    )


def _constant_pair(progress_is_default: bool, weight: Any) -> tuple[float, float] | None:
    if progress_is_default and type(weight) in (int, float) and isfinite(weight):
        return DEFAULT_PROGRESS, float(weight)
    return None


def _pair(
    ask: Callable[[], float], reported: float | None, action: Action, weight: str
) -> tuple[float, float]:
    """Progress and weight as the action tells them; a progress method that fails leaves neither."""
    try:
        done = finite(ask()) if reported is None else reported
    except Exception:
        return 0.0, 0.0
    return done, weight_of(action, weight)


# -- one call ----------------------------------------------------------------------------------------


def _part(output: Any, step_id: int, subkeys: list[Key], path: list[Key]) -> Any:
    """The part of a producer's output that a reference names; :class:`MissingOutput` where it is not."""
    for depth, key in enumerate(subkeys):
        try:
            output = output[key]
        except (LookupError, TypeError):
            text = reference_text(step_id, tuple(subkeys[:depth]))
            place = path_text("input", tuple(path))
            raise MissingOutput(text, str(key), place, _what_is_there(output)) from None
    return output


_MOST_KEYS = 10


def _what_is_there(output: Any) -> str:
    if isinstance(output, list):
        return f"it is a list of {len(output):,}"
    if not isinstance(output, dict):
        return f"it is of type {type(output).__name__}"
    if not output:
        return "it is empty"
    names = ", ".join(repr(key)[:40] for key in list(output)[:_MOST_KEYS])
    return f"it has {names}" + (" …" if len(output) > _MOST_KEYS else "")


def _place(values: dict[str, Any], path: list[Key], value: Any) -> None:
    container: Any = values
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = value


class _Call(Context):
    """One call of ``run`` or ``finalize``: decodes what is asked for, notes what is done."""

    __slots__ = (
        "_chunk_count",
        "_chunks",
        "_error",
        "_input",
        "_job",
        "_limit",
        "_new_chunks",
        "_output",
        "_plan_id",
        "_reported",
        "_resolved",
        "_state",
    )

    def __init__(
        self, plan_id: str, job: StepJob | FinalizePart, limit: int, new_chunks: NewChunks = KeptChunks
    ) -> None:
        self._plan_id = plan_id
        self._job = job
        self._limit = limit
        self._input: dict[str, Any] | None = None
        self._output: dict[str, Any] | None = None
        self._resolved: bytes | None = None
        self._reported: float | None = None
        self._error: BaseException | None = None
        self._state = _RUNNING
        self._chunks: ChunkSink | None = None
        self._new_chunks = new_chunks

    @property
    def plan_id(self) -> str:
        return self._plan_id

    @property
    def action_id(self) -> int:
        return self._job.action_id

    @property
    def state(self) -> str:
        return self._state

    def get_input(self) -> dict[str, Any]:
        if self._input is None:
            self._input = decode(self._job.input if self._resolved is None else self._resolved)
        return self._input

    def get_output(self) -> dict[str, Any]:
        if self._output is None:
            stored = self._job.output
            self._output = {} if stored is None else decode(stored)
        return self._output

    def report_progress(self, done: float) -> None:
        self._reported = min(1.0, max(0.0, finite(done)))

    def output_chunk(self, value: Any, kind: str | None) -> None:
        self._add_chunk(encode(value, "output chunk", self._limit), kind)

    def drop_output_chunks(self) -> None:
        self._add_chunk(b"", None)

    def _add_chunk(self, data: bytes, kind: str | None) -> None:
        if self._chunks is None:
            self._chunks, self._chunk_count = self._new_chunks(self._job.step_id), 0
        chunk = numbered(self._chunk_count + 1, data, kind)
        self._chunks.add(chunk)
        self._chunk_count = chunk.number

    def resolve_input(self, producers: Mapping[int, bytes], decoded: dict[int, Any]) -> None:
        """Put what the references refer to in their places. ``decoded`` keeps outputs between calls."""
        assert self._job.references is not None
        values = self.get_input()
        for path, step_id, action_id, subkeys in decode(self._job.references):
            if action_id not in decoded:
                stored = producers.get(action_id)
                decoded[action_id] = {} if stored is None else decode(stored)
            _place(values, path, _part(decoded[action_id], step_id, subkeys, path))
        self._resolved = encode(values, "input", self._limit)
        self._input = None  # decoded again if asked for: two references must not share what they refer to

    @property
    def failure(self) -> BaseException | None:
        """Why the call failed, the exception itself; None if it did not, or not yet."""
        return self._error

    def fail(self, error: BaseException) -> StepState:
        """Note why the call failed."""
        self._error = error.unwrapped() if isinstance(error, Failed) else error
        return _ERROR

    def outcome(
        self, step_id: int, state: StepState, facts: ClassFacts | None, action: Action | None, begun: float
    ) -> StepOutcome:
        """What came of the call."""
        output = None
        if self._output is not None:
            try:
                output = self._changed_output()
            except BaseException as error:  # a value's own methods may raise anything while it is packed
                if state is not _ERROR:
                    state = self.fail(error)
        done, weight = (0.0, 0.0) if facts is None or action is None else self.progress(facts, action)
        self._state = state
        failure = self._error
        events: tuple[PlannedEvent, ...] = ()
        plans: tuple[bytes, ...] = ()
        orders: bytes | None = None
        if failure is None:
            events, plans, orders = self.events(), self.plans(), self.orders()
        return StepOutcome(
            step_id,
            state,
            time_ns() // 1000,
            perf_counter() - begun,
            done,
            weight,
            output,
            self._resolved,
            None if failure is None else record_of(failure).to_bytes(),
            events,
            retryable=failure is not None and facts is not None and self.is_retryable(failure, facts),
            plans=plans,
            orders=orders,
            chunks=() if self._chunks is None else self._chunks.rest(),
        )

    def is_retryable(self, failure: BaseException, facts: ClassFacts) -> bool:
        """Whether the class wants to be tried again after this error."""
        return False

    def _changed_output(self) -> bytes | None:
        data = encode(self._output, "output", self._limit)
        return None if data == (self._job.output or EMPTY) else data

    def progress(self, facts: ClassFacts, action: Action) -> tuple[float, float]:
        raise NotImplementedError

    def events(self) -> tuple[PlannedEvent, ...]:
        return ()

    def plans(self) -> tuple[bytes, ...]:
        return ()

    def orders(self) -> bytes | None:
        return None


class _RunCall(_Call):
    """One call of ``run``."""

    __slots__ = ("_events", "_sub_plans")

    phase = Phase.RUN

    def __init__(
        self, job: StepJob, limit: int, plan_sub_plan: SubPlanner | None, new_chunks: NewChunks
    ) -> None:
        super().__init__(job.plan_id, job, limit, new_chunks)
        self._events: list[PlannedEvent] | None = None
        self._sub_plans: Triggering | SubPlanner | None = plan_sub_plan

    @property
    def run_step_id(self) -> int:
        return self._job.step_id

    def set_output(self, value: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"the output must be a dict, not a {type(value).__name__}")
        self._output = value

    def suspend(self, before: Callable[[SuspendedAction], object] | None) -> NoReturn:
        if before is not None:
            before(self.suspended_action())
        raise Suspended

    def suspended_action(self) -> SuspendedAction:
        return SuspendedAction(self._plan_id, self._job.step_id)

    def plan_event(
        self, event: Any, delay_s: float | None, optional: bool, plan_id: str | None, step_id: int | None
    ) -> None:
        own = self._plan_id, self._job.step_id
        planned = planned_event(own, event, delay_s, optional, plan_id, step_id, self._limit)
        if self._events is None:
            self._events = []
        self._events.append(planned)

    def events(self) -> tuple[PlannedEvent, ...]:
        return () if self._events is None else tuple(self._events)

    def is_retryable(self, failure: BaseException, facts: ClassFacts) -> bool:
        return facts.retry is not None and facts.retry.covers(failure)

    # -- sub-plans ---------------------------------------------------------------------------------

    def trigger(
        self, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any], held_back: bool = False
    ) -> SubPlan:
        return self._triggering().trigger(kind, args, kwargs, held_back)

    def briefing(self) -> Briefing:
        assert isinstance(self._job, StepJob)
        told = self._job.briefing
        return Briefing() if told is None else Briefing.from_bytes(told)

    def order(self, orders: Orders) -> None:
        self._triggering().orders = orders

    def _triggering(self) -> Triggering:
        """Made on first use: most steps trigger nothing."""
        if not isinstance(self._sub_plans, Triggering):
            caller = (self._plan_id, self._job.action_id)
            self._sub_plans = Triggering(self._sub_plans, caller, self._limit)
        return self._sub_plans

    def plans(self) -> tuple[bytes, ...]:
        return tuple(self._sub_plans.plans) if isinstance(self._sub_plans, Triggering) else ()

    def orders(self) -> bytes | None:
        orders = self._sub_plans.orders if isinstance(self._sub_plans, Triggering) else None
        return None if orders is None else orders.to_bytes()

    def progress(self, facts: ClassFacts, action: Action) -> tuple[float, float]:
        if facts.run_pair is not None and self._reported is None:
            return facts.run_pair
        return _pair(action.run_progress, self._reported, action, "run_progress_weight")


class _FinalizeCall(_Call):
    """One call of ``finalize``."""

    __slots__ = ()

    phase = Phase.FINALIZE

    @property
    def finalize_step_id(self) -> int:
        return self._job.step_id

    def progress(self, facts: ClassFacts, action: Action) -> tuple[float, float]:
        if facts.finalize_pair is not None and self._reported is None:
            return facts.finalize_pair
        return _pair(action.finalize_progress, self._reported, action, "finalize_progress_weight")
