"""From a call to a plan that waits for its time: its root action alone, and the arguments to plan it with later.

schedule(Root, args) ─▶ Root.delay(options, …) ─▶ ScheduledPlan ─(stored, due)─▶ plan_scheduled, in a worker
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.context import Context
from dynflow_mp.actions.middleware import CLASSES_ONLY, MiddlewareRules, call
from dynflow_mp.actions.registry import registry
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.codec import MAX_PAYLOAD, decode, encode
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.flows import Sequence as SequenceFlow
from dynflow_mp.model.plans import PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.planning.class_facts import ClassFacts, facts_of
from dynflow_mp.planning.labels import MAX_LABEL, label_of
from dynflow_mp.planning.planner import Planned, plan

_NO_LIMIT = 2**40
ROOT_STEP_ID = ROOT_ACTION_ID = 1


class ScheduledPlan(NamedTuple):
    """A plan of one step that waits, and the bytes of the arguments it is to be planned with."""

    plan: PlannedPlan
    arguments: bytes


def schedule(
    action_class: type[Action],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    plan_id: str,
    max_payload: int = MAX_PAYLOAD,
    middleware: MiddlewareRules = CLASSES_ONLY,
) -> ScheduledPlan:
    """Ask ``action_class`` to be delayed. What its ``delay`` raises is the caller's to hear; so is what cannot be stored.

    Raises :class:`PlanningError` for what is no action, :class:`DataError` for arguments that cannot be stored.
    """
    facts = facts_of(action_class, middleware)
    context = DelayContext(plan_id)
    action = action_in(action_class, context)
    delay = call(facts.around.delay, "delay", plan_id, action, action.delay)
    given, named = _delay(action, delay, options, tuple(args), dict(kwargs))
    planned = PlannedPlan(
        id=plan_id,
        label=_label_for_now(action),
        state=PlanState.SCHEDULED,
        result=Result.PENDING,
        root_plan_step_id=ROOT_STEP_ID,
        run_flow=Concurrence(),
        finalize_flow=SequenceFlow(),
        actions=[_root_action(facts, encode(context.get_input(), "input", max_payload))],
        steps=[_root_step(facts)],
        policies={facts.name: facts.policy},
        dependencies=[],
        history=(),
        started_at=None,
        ended_at=None,
        execution_time=0.0,
        real_time=0.0,
    )
    return ScheduledPlan(planned, encode_arguments(given, named, max_payload))


def _label_for_now(action: Action) -> str:
    """The action's label; its class's name where the label needs an input that only planning gives it."""
    try:
        return label_of(action)
    except PlanningError:
        raise
    except Exception:
        return type(action).__name__[:MAX_LABEL]


def _delay(
    action: Action,
    delay: Callable[..., Any],
    options: Mapping[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """What the action wants to be planned with; ``delay`` is its method with the middleware around it."""
    try:
        changed = delay(options, *args, **kwargs)
    except Failed as failed:
        raise failed.unwrapped() from None
    if changed is None:
        return args, kwargs
    if isinstance(changed, tuple) and len(changed) == 2:
        given, named = changed
        if isinstance(given, (list, tuple)) and isinstance(named, Mapping):
            return given, named
    raise PlanningError(f"{type(action).__name__}.delay must return None or (args, kwargs), not {changed!r}")


def encode_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], limit: int) -> bytes:
    """Arguments as bytes; what cannot be stored is named by its place in them."""
    parts = [encode(list(args), "args", limit), encode(dict(kwargs), "kwargs", limit)]
    return encode(parts, "arguments", _NO_LIMIT)


def decode_arguments(data: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of :func:`encode_arguments`; tuples have become lists."""
    args, kwargs = decode(data)
    return decode(args), decode(kwargs)


def plan_scheduled(
    name: str,
    plan_id: str,
    arguments: bytes,
    stored_input: bytes,
    now: Callable[[], int],
    max_payload: int,
    middleware: MiddlewareRules = CLASSES_ONLY,
) -> Planned:
    """Plan what was scheduled under ``plan_id``. Raises :class:`UnknownAction`."""
    args, kwargs = decode_arguments(arguments)
    return plan(
        registry.find(name),
        tuple(args),
        kwargs,
        plan_id=plan_id,
        now=now,
        new_id=lambda: plan_id,
        max_payload=max_payload,
        root_input=decode(stored_input),
        middleware=middleware,
    )


class DelayContext(Context):
    """The root action of a plan that is being scheduled: it has an input, and nothing else yet."""

    __slots__ = ("_input", "_plan_id")

    phase = Phase.DELAY

    def __init__(self, plan_id: str) -> None:
        self._plan_id = plan_id
        self._input: dict[str, Any] = {}

    @property
    def plan_id(self) -> str:
        return self._plan_id

    @property
    def action_id(self) -> int:
        return ROOT_ACTION_ID

    @property
    def plan_step_id(self) -> int:
        return ROOT_STEP_ID

    def get_input(self) -> dict[str, Any]:
        return self._input

    def set_input(self, value: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"the input must be a dict, not a {type(value).__name__}")
        self._input = value

    def get_output(self) -> Any:
        self.refuse("output", Phase.PLAN, Phase.RUN, Phase.FINALIZE)


def _root_action(facts: ClassFacts, given: bytes) -> PlannedAction:
    return PlannedAction(ROOT_ACTION_ID, facts.name, ROOT_STEP_ID, None, None, None, None, given, None)


def _root_step(facts: ClassFacts) -> PlannedStep:
    return PlannedStep(
        ROOT_STEP_ID, Phase.PLAN, StepState.PENDING, ROOT_ACTION_ID, facts.name, facts.policy.queue, 0.0
    )
