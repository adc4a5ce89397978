"""One call of ``run`` or ``finalize``: decodes what is asked for, notes what is done, makes the outcome of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter, time_ns
from typing import Any, NoReturn

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.class_facts import ClassFacts
from dynflow_mp.actions.context import Context, SuspendedAction
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.output_chunks import ChunkSink, KeptChunks, numbered
from dynflow_mp.actions.planned_event import planned_event
from dynflow_mp.actions.progress import finite, weight_of
from dynflow_mp.actions.referred import part_of, put
from dynflow_mp.actions.sub_plan import SubPlan, SubPlanner, Triggering
from dynflow_mp.actions.unwinding import Failed, Suspended
from dynflow_mp.model.codec import EMPTY, decode, encode
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.model.sub_plans import Briefing, Orders
from dynflow_mp.model.work import FinalizePart, PlannedEvent, StepJob, StepOutcome
from dynflow_mp.redaction import secrets_in

NewChunks = Callable[[int], ChunkSink]
"""Makes the place for the output chunks of a step."""

_RUNNING, _ERROR = StepState.RUNNING, StepState.ERROR


class Call(Context):
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
            put(values, path, part_of(decoded[action_id], step_id, subkeys, path))
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
            None if failure is None else record_of(failure, self._secrets(facts)).to_bytes(),
            events,
            retryable=failure is not None and facts is not None and self.is_retryable(failure, facts),
            plans=plans,
            orders=orders,
            chunks=() if self._chunks is None else self._chunks.rest(),
        )

    def _secrets(self, facts: ClassFacts | None) -> frozenset[str]:
        """What an error's text shall not repeat."""
        sensitive = () if facts is None else facts.kind.sensitive
        try:
            return secrets_in(self.get_input(), sensitive) | secrets_in(self.get_output(), sensitive)
        except (
            Exception
        ):  # data that cannot be read, or objects of the user's: the step has its error already
            return frozenset()

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


class RunCall(Call):
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


class FinalizeCall(Call):
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


def _pair(
    ask: Callable[[], float], reported: float | None, action: Action, weight: str
) -> tuple[float, float]:
    """Progress and weight as the action tells them; a progress method that fails leaves neither."""
    try:
        done = finite(ask()) if reported is None else reported
    except (Exception, Failed, Suspended):
        return 0.0, 0.0
    return done, weight_of(action, weight)
