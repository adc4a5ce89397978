"""What an action can do while it is planned, and what is known of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.context import Context
from dynflow_mp.actions.formats import Format
from dynflow_mp.actions.progress import weight_of
from dynflow_mp.errors import DataError, PlanningError
from dynflow_mp.model.codec import EMPTY, encode, encode_input, references_in
from dynflow_mp.model.plans import PlannedAction, PlannedStep
from dynflow_mp.model.references import OutputReference, StoredReference
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.planning.class_facts import ClassFacts
from dynflow_mp.planning.flow_builder import Container, FlowBuilder

_NO_LIMIT = 2**40
"""``max_payload`` is about what users hand over; references grow with the plan."""

_FLAT = frozenset({str, int, float, bool, bytes, type(None)})
_SUCCESS, _PENDING, _ERROR = StepState.SUCCESS, StepState.PENDING, StepState.ERROR
_PLAN, _RUN, _FINALIZE = Phase.PLAN, Phase.RUN, Phase.FINALIZE


class Planning(Protocol):
    """The making of one plan, as its actions see it."""

    plan_id: str
    max_payload: int
    flows: FlowBuilder
    now: Callable[[], int]

    def next_step_id(self) -> int: ...
    def plan_child(
        self, parent: Action, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Action: ...


class PlanContext(Context):
    """One action while it is planned, and what is known of it afterwards."""

    __slots__ = (
        "_action_id",
        "_children",
        "_finalize_step_id",
        "_finalize_weight",
        "_from_subscription",
        "_input",
        "_needs",
        "_plan_step_id",
        "_planned_self",
        "_planner",
        "_run_step_id",
        "_run_weight",
        "_stored_input",
        "_stored_references",
        "_triggering",
        "ended_at",
        "facts",
        "failure",
        "is_open",
        "producers",
        "started_at",
    )

    phase = _PLAN

    def __init__(
        self,
        planner: Planning,
        facts: ClassFacts,
        action_id: int,
        triggering: Action | None,
        from_subscription: bool,
    ) -> None:
        self.facts = facts
        self.is_open = True
        self.failure: BaseException | None = None
        self.producers: tuple[int, ...] = ()
        """The actions whose outputs the input refers to."""
        self._planner = planner
        self._action_id = action_id
        self._plan_step_id = planner.next_step_id()
        self._run_step_id: int | None = None
        self._finalize_step_id: int | None = None
        self._run_weight = self._finalize_weight = 0.0
        self._triggering = triggering
        self._from_subscription = from_subscription
        self._planned_self = False
        self._input: dict[str, Any] = {}
        self._needs: tuple[int, ...] = ()
        self._stored_input: bytes | None = None
        self._stored_references: bytes | None = None
        self._children: list[int] | None = None
        self.started_at = self.ended_at = planner.now()
        if triggering is not None:
            context_of(triggering).note_child(self._plan_step_id)

    # -- what the action asks --------------------------------------------------------------------

    @property
    def plan_id(self) -> str:
        return self._planner.plan_id

    @property
    def action_id(self) -> int:
        return self._action_id

    @property
    def plan_step_id(self) -> int:
        return self._plan_step_id

    @property
    def run_step_id(self) -> int | None:
        return self._run_step_id

    @property
    def finalize_step_id(self) -> int | None:
        return self._finalize_step_id

    @property
    def triggering(self) -> Action | None:
        return self._triggering

    @property
    def is_root(self) -> bool:
        return self._triggering is None

    @property
    def from_subscription(self) -> bool:
        return self._from_subscription

    def get_input(self) -> dict[str, Any]:
        return self._input

    def set_input(self, value: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"the input must be a dict, not a {type(value).__name__}")
        self._input = value

    def get_output(self) -> OutputReference:
        if self._run_step_id is None:
            raise PlanningError(
                f"{self.facts.name} has no run(), so it has no output to refer to"
                if not self.facts.has_run
                else f"plan_self has to be called before the output of {self.facts.name} can be referred to"
            )
        return OutputReference(self.plan_id, self._run_step_id, self._action_id)

    def plan_self(self, action: Action, values: Mapping[str, Any] | None, named: Mapping[str, Any]) -> None:
        self._require_open("plan_self")
        if self._planned_self:
            raise PlanningError(f"plan_self was called twice for {self.facts.name}")
        self._planned_self = True
        if values is not None:
            if not isinstance(values, Mapping):
                raise TypeError(f"plan_self takes a mapping and keywords, not a {type(values).__name__}")
            self._input.update(values)
        self._input.update(named)
        if self.facts.has_run:
            self._run_step_id = self._planner.next_step_id()
            self._run_weight = weight_of(action, "run_progress_weight")
            self._needs = _needed_steps(self._input)
            self._planner.flows.add_run_step(self._run_step_id, self._needs)
        if self.facts.has_finalize:
            self._finalize_step_id = self._planner.next_step_id()
            self._finalize_weight = weight_of(action, "finalize_progress_weight")
            self._planner.flows.add_finalize_step(self._finalize_step_id)

    def plan_action(
        self, parent: Action, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Action:
        self._require_open("plan_action")
        return self._planner.plan_child(parent, kind, args, kwargs)

    def sequence(self) -> AbstractContextManager[None]:
        self._require_open("sequence")
        return _Scope(self._planner.flows, self._planner.flows.open_sequence)

    def concurrence(self) -> AbstractContextManager[None]:
        self._require_open("concurrence")
        return _Scope(self._planner.flows, self._planner.flows.open_concurrence)

    def _require_open(self, what: str) -> None:
        if not self.is_open:
            raise PlanningError(f"{what} of {self.facts.name}: its plan() is over")

    # -- what the planner asks -------------------------------------------------------------------

    def note_child(self, plan_step_id: int) -> None:
        """Another action was planned on behalf of this one."""
        if self._children is None:
            self._children = []
        self._children.append(plan_step_id)

    def encode_input(self, limit: int) -> None:
        """Turn the input into what is stored. Raises :class:`DataError` for what cannot be."""
        self._stored_input, references = encode_input(self._input, limit=limit)
        if references:
            self._keep_references(references)

    def check_input(self, wanted: Format) -> None:
        """Raises :class:`FormatError`. What was never given to ``plan_self`` is no input."""
        if self._planned_self:
            wanted.check(self._input)

    def _keep_references(self, references: tuple[StoredReference, ...]) -> None:
        needed = frozenset(self._needs)  # there may be a hundred thousand
        for reference in references_in(self._input):
            if reference.plan_id != self.plan_id:
                raise PlanningError(f"{reference} belongs to another plan ({reference.plan_id})")
            if self._run_step_id is not None and reference.step_id not in needed:
                raise PlanningError(f"{reference} came into the input of {self.facts.name} after plan_self")
        self.producers = tuple(dict.fromkeys(reference.action_id for reference in references))
        self._stored_references = encode(
            [list(reference) for reference in references], "references", _NO_LIMIT
        )

    @property
    def spent_s(self) -> float:
        """How long planning it took."""
        return (self.ended_at - self.started_at) / 1e6

    def as_action(self, caller: tuple[str, int] | None) -> PlannedAction:
        """The action's row; ``caller`` is who made the whole plan."""
        if self._stored_input is None:
            self._encode_what_can_be()
        if self._triggering is not None:
            caller_plan_id, caller_action_id = None, context_of(self._triggering).action_id
        else:
            caller_plan_id, caller_action_id = caller or (None, None)  # type: ignore[assignment]
        return PlannedAction(
            self._action_id,
            self.facts.name,
            self._plan_step_id,
            self._run_step_id,
            self._finalize_step_id,
            caller_plan_id,
            caller_action_id,
            self._stored_input or EMPTY,
            self._stored_references,
        )

    def _encode_what_can_be(self) -> None:
        """The input of an action whose planning failed: shown if it can be stored."""
        try:
            self.encode_input(self._planner.max_payload)
        except (DataError, PlanningError):
            self._stored_input, self._stored_references, self.producers = EMPTY, None, ()

    def add_steps(self, steps: dict[int, PlannedStep], error: bytes | None) -> None:
        """Put the action's steps among the plan's."""
        name, action_id, spent_s = self.facts.name, self._action_id, self.spent_s
        queue = self._queue()
        steps[self._plan_step_id] = PlannedStep(
            self._plan_step_id,
            _PLAN,
            _SUCCESS if error is None else _ERROR,
            action_id,
            name,
            None,
            0.0,
            () if self._children is None else tuple(self._children),
            error,
            self.started_at,
            self.ended_at,
            spent_s,
            spent_s,
        )
        if self._run_step_id is not None:
            steps[self._run_step_id] = PlannedStep(
                self._run_step_id, _RUN, _PENDING, action_id, name, queue, self._run_weight
            )
        if self._finalize_step_id is not None:
            steps[self._finalize_step_id] = PlannedStep(
                self._finalize_step_id, _FINALIZE, _PENDING, action_id, name, queue, self._finalize_weight
            )

    def _queue(self) -> str | None:
        own = self.facts.policy.queue
        if own is not None or self._triggering is None:
            return own
        return context_of(self._triggering).facts.policy.queue


def context_of(action: Action) -> PlanContext:
    """The context of an action of a plan that is being made."""
    context = action._context
    assert isinstance(context, PlanContext)  # actions of a plan being made have no other
    return context


def _needed_steps(values: dict[str, Any]) -> tuple[int, ...]:
    if set(map(type, values.values())) <= _FLAT:
        return ()
    return tuple(dict.fromkeys(reference.step_id for reference in references_in(values)))


class _Scope(AbstractContextManager[None]):
    """The body of ``with self.sequence():`` – opened on entry, closed also when the body raises."""

    __slots__ = ("_container", "_flows", "_open")

    def __init__(self, flows: FlowBuilder, open_container: Callable[[], Container]) -> None:
        self._flows, self._open = flows, open_container

    def __enter__(self) -> None:
        self._container = self._open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flows.close(self._container)
