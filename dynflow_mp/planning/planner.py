"""From a call to a plan: runs the user's ``plan`` methods and gathers what they build.

    plan(Root, args) ─▶ Root.plan(…) ─▶ plan_action(Child, …) ─▶ Child.plan(…) ─▶ subscribers of Child
                              │                                      │
                          plan_self ─▶ run and finalize step     open and close flows (flow_builder)

Every action is planned at once, where it is named, so that its ids follow Dynflow's order: the plan step when
the action is named, run and finalize step when it calls ``plan_self``. The rows are made in one pass at the
end, from what the contexts noted: however a ``plan`` ends, there is a row for everything it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, NamedTuple
from uuid import UUID

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.context import Context
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.policy import policy_of
from dynflow_mp.actions.progress import weight_of
from dynflow_mp.actions.registry import name_of, registry
from dynflow_mp.actions.subscriptions import subscribers_of
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import DataError, PlanningError
from dynflow_mp.model.codec import EMPTY, MAX_PAYLOAD, encode, encode_input, references_in
from dynflow_mp.model.plans import PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.references import OutputReference, StoredReference
from dynflow_mp.model.states import Phase, PlanState, StepState, result_of
from dynflow_mp.planning.flow_builder import Container, FlowBuilder

MAX_LABEL = 255
_NO_LIMIT = 2**40
"""``max_payload`` is about what users hand over; references grow with the plan."""

_FLAT = frozenset({str, int, float, bool, bytes, type(None)})
_SUCCESS, _PENDING, _ERROR = StepState.SUCCESS, StepState.PENDING, StepState.ERROR
_PLAN, _RUN, _FINALIZE = Phase.PLAN, Phase.RUN, Phase.FINALIZE


class Planned(NamedTuple):
    """A plan, the error that stopped its planning if one did, and its root action."""

    plan: PlannedPlan
    error: BaseException | None
    root: Action


def plan(
    action_class: type[Action],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    plan_id: str | None = None,
    now: Callable[[], int],
    new_id: Callable[[], str],
    caller: tuple[str, int] | None = None,
    max_payload: int = MAX_PAYLOAD,
) -> Planned:
    """Plan ``action_class``. What its ``plan`` raises ends up in the plan (stopped, with an error), not here.

    ``now`` tells microseconds UTC, ``caller`` is the plan and action of which this is a sub-plan.
    Raises :class:`PlanningError` for what is no action or no plan id: then there is nothing to plan.
    """
    planner = _Planner(_checked_id(plan_id) if plan_id is not None else new_id(), now, max_payload)
    return planner.plan_root(action_class, args, dict(kwargs), caller)


def _checked_id(plan_id: str) -> str:
    try:
        return str(UUID(plan_id))
    except (ValueError, AttributeError, TypeError):
        raise PlanningError(f"the plan id {plan_id!r} is not a UUID") from None


class _ClassPlan(NamedTuple):
    """What planning needs to know of a class, looked up once per plan."""

    name: str
    policy: ActionPolicy
    has_run: bool
    has_finalize: bool
    subscribers: tuple[type[Action], ...]


class _Planner:
    """Plans one plan, once."""

    def __init__(self, plan_id: str, now: Callable[[], int], max_payload: int) -> None:
        self.plan_id = plan_id
        self.now = now
        self.max_payload = max_payload
        self.flows = FlowBuilder()
        self.contexts: list[_PlanContext] = []
        """One per action, by action id from 1."""
        self.last_step_id = 0
        self._classes: dict[type[Action], _ClassPlan] = {}

    def plan_root(
        self,
        kind: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: tuple[str, int] | None,
    ) -> Planned:
        facts = self._facts_of(kind)
        root, context = self._prepare(kind, facts, None, False)
        try:
            self._plan_within(root, context, args, kwargs)
            self.flows.require_resolved()
        except Exception as error:
            context.failure = error
        label = _label_of(root, context)
        return Planned(self._gathered(context, label, caller), self._first_error(), root)

    def plan_child(
        self,
        parent: Action,
        kind: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        from_subscription: bool = False,
    ) -> Action:
        """Plan an action on behalf of ``parent``."""
        action, context = self._prepare(kind, self._facts_of(kind), parent, from_subscription)
        self._plan_within(action, context, args, kwargs)
        return action

    def next_step_id(self) -> int:
        self.last_step_id += 1
        return self.last_step_id

    # -- one action ------------------------------------------------------------------------------

    def _prepare(
        self, kind: type[Action], facts: _ClassPlan, parent: Action | None, from_subscription: bool
    ) -> tuple[Action, _PlanContext]:
        before = self.last_step_id
        try:
            context = _PlanContext(self, facts, len(self.contexts) + 1, parent, from_subscription)
        except RecursionError:  # it may strike anywhere: no number may go to a step that is not there
            self.last_step_id = before
            raise
        self.contexts.append(context)
        return action_in(kind, context), context

    def _plan_within(
        self, action: Action, context: _PlanContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Plan ``action`` and its subscribers; note how it ended, and let an error rise to who planned it."""
        flows = self.flows
        try:
            container = flows.open_concurrence()
            try:
                action.plan(*args, **kwargs)
            finally:
                added = flows.close(container)
            if context.facts.subscribers:
                self._plan_subscribers(action, context.facts.subscribers, added, args, kwargs)
            context.encode_input(self.max_payload)
        except Failed as failed:
            context.failure = failed.unwrapped()
            raise context.failure from None
        except BaseException as error:
            context.failure = error
            raise
        finally:
            context.is_open = False
            context.ended_at = self.now()

    def _plan_subscribers(
        self,
        action: Action,
        subscribers: tuple[type[Action], ...],
        added: bool,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        container = self.flows.open_around_last(added)
        try:
            for subscriber in subscribers:
                self.plan_child(action, subscriber, args, kwargs, from_subscription=True)
        finally:
            self.flows.close(container)

    def _facts_of(self, kind: type[Action]) -> _ClassPlan:
        facts = self._classes.get(kind)
        if facts is None:
            facts = self._classes[kind] = _facts_of(kind)
        return facts

    # -- the whole plan --------------------------------------------------------------------------

    def _first_error(self) -> BaseException | None:
        return next((context.failure for context in self.contexts if context.failure is not None), None)

    def _gathered(self, root: _PlanContext, label: str, caller: tuple[str, int] | None) -> PlannedPlan:
        steps = self._steps()
        stopped = self._first_error() is not None
        caller_plan_id, caller_action_id = caller or (None, None)
        return PlannedPlan(
            id=self.plan_id,
            label=label,
            state=PlanState.STOPPED if stopped else PlanState.PLANNED,
            result=result_of(step.state for step in steps),
            root_plan_step_id=root.plan_step_id,
            run_flow=self.flows.run_flow(),
            finalize_flow=self.flows.finalize_flow(),
            actions=[context.as_action(caller) for context in self.contexts],
            steps=steps,
            policies={facts.name: facts.policy for facts in self._classes.values()},
            dependencies=[
                (context.action_id, context.producers) for context in self.contexts if context.producers
            ],
            history=(),
            started_at=root.started_at,
            ended_at=root.ended_at if stopped else None,
            execution_time=sum(step.execution_time for step in steps) if stopped else 0.0,
            real_time=root.spent_s if stopped else 0.0,
            caller_plan_id=caller_plan_id,
            caller_action_id=caller_action_id,
        )

    def _steps(self) -> list[PlannedStep]:
        """Every step, in the order of their ids."""
        found: dict[int, PlannedStep] = {}
        records: dict[int, bytes] = {}  # an error that rose through many actions is written down once
        for context in self.contexts:
            error = context.failure
            if error is not None and id(error) not in records:
                records[id(error)] = record_of(error).to_bytes()
            context.add_steps(found, None if error is None else records[id(error)])
        return [found[step_id] for step_id in range(1, self.last_step_id + 1)]


def _facts_of(kind: type[Action]) -> _ClassPlan:
    if not (isinstance(kind, type) and issubclass(kind, Action) and registry.has(kind)):
        raise PlanningError(f"{kind!r} is not an action class that plans can be made of")
    return _ClassPlan(
        name_of(kind),
        policy_of(kind),
        callable(getattr(kind, "run", None)),
        callable(getattr(kind, "finalize", None)),
        subscribers_of(kind),
    )


def _label_of(root: Action, context: _PlanContext) -> str:
    try:
        label: Any = root.label  # a method, or a plain text
        return str(label() if callable(label) else label)[:MAX_LABEL]
    except Exception as error:
        context.failure = context.failure or error
        return type(root).__name__[:MAX_LABEL]


# -- what an action can do while it is planned -------------------------------------------------------


class _PlanContext(Context):
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
        planner: _Planner,
        facts: _ClassPlan,
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
            _context_of(triggering).note_child(self._plan_step_id)

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
            caller_plan_id, caller_action_id = None, _context_of(self._triggering).action_id
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
        return _context_of(self._triggering).facts.policy.queue


def _context_of(action: Action) -> _PlanContext:
    context = action._context
    assert isinstance(context, _PlanContext)  # actions of a plan being made have no other
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
