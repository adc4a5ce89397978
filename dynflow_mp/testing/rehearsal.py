"""One action by itself: planned by the real planner, run by the real phases, with nothing stored.

create_action ─▶ plan_action ─▶ run_action ─▶ (suspended ─▶ run_action with an event, progress_action_time) ─▶ finalize_action
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.middleware import CLASSES_ONLY
from dynflow_mp.actions.registry import name_of
from dynflow_mp.clock import own_time
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.codec import MAX_PAYLOAD, references_in
from dynflow_mp.planning.class_facts import ClassFacts, facts_of
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.planning.plan_context import PlanContext, context_of
from dynflow_mp.planning.planner import Planner
from dynflow_mp.testing.clock import ManagedClock

if TYPE_CHECKING:
    from collections.abc import Iterator

Stub = Callable[[Any], object]


class Rehearsal(Planner):
    """The plan of one action: what it plans is noted, and not planned in turn. Subscribers are left out."""

    def __init__(self, clock: ManagedClock | None, max_payload: int = MAX_PAYLOAD) -> None:
        self.clock = clock or ManagedClock()
        plan_id = new_plan_id(self.clock.now_us(), os.urandom)
        super().__init__(plan_id, self.clock.now_us, max_payload, CLASSES_ONLY)
        self.planned: list[Action] = []
        """The actions that were planned, in order."""
        self.names: dict[int, type[Action]] = {}
        """Which class each step of the flow stands for."""
        self._stubs: dict[type[Action], Stub] = {}

    def create(self, kind: type[Action], trigger: Action | None) -> Action:
        """An action to be planned; on behalf of ``trigger``, if given."""
        facts = self._facts_of(kind)
        subscribed = trigger is not None and kind in self._facts_of(type(trigger)).subscribers
        return self._prepare(kind, facts, trigger, subscribed)[0]

    def rehearse(self, action: Action, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Have the action planned. Raises whatever its ``plan`` raises."""
        context = context_of(action)
        if not context.is_open:
            raise PlanningError(f"{context.facts.name} was planned already; create_action makes another one")
        with on(self.clock):
            self._plan_within(action, context, args, dict(kwargs))
        self.names |= {number: type(action) for number in _own_steps(context)}

    def stub(self, kind: type[Action], how: Stub) -> None:
        """Have ``how`` called with every planned action of this class."""
        self._stubs[kind] = how

    # -- what the planner asks for other actions -------------------------------------------------------

    def plan_child(
        self,
        parent: Action,
        kind: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        from_subscription: bool = False,
    ) -> Action:
        facts = self._facts_of(kind)
        inspect.signature(kind.plan).bind(None, *args, **kwargs)  # as a call would, it raises TypeError
        context = PlannedStandIn(self, facts, len(self.contexts) + 1, parent, args, kwargs)
        self.contexts.append(context)
        child = action_in(kind, context)
        self.planned.append(child)
        self.names[context.stands_at] = kind
        if kind in self._stubs:
            self._stubs[kind](child)
        return child

    def _plan_subscribers(self, *args: Any) -> None:
        """Subscribers are none of the action's own doing."""


class PlannedStandIn(PlanContext):
    """An action that was planned and is not looked into: it has its class, its arguments, and an output to refer to."""

    __slots__ = ("args", "kwargs", "stands_at")

    def __init__(
        self,
        rehearsal: Rehearsal,
        facts: ClassFacts,
        action_id: int,
        parent: Action,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        super().__init__(rehearsal, facts, action_id, parent, False)
        self.is_open = False
        self.args, self.kwargs = args, kwargs
        self.stands_at = rehearsal.next_step_id()
        """The step that stands in the flow for all that the action would plan."""
        if facts.has_run:
            self._run_step_id = self.stands_at
        needs = dict.fromkeys(ref.step_id for ref in references_in({"args": list(args), "kwargs": kwargs}))
        rehearsal.flows.add_run_step(self.stands_at, needs)


def _own_steps(context: PlanContext) -> list[int]:
    return [step for step in (context.run_step_id, context.finalize_step_id) if step is not None]


def rehearsal_of(action: Action) -> Rehearsal:
    """The rehearsal this action was planned in. Raises ``TypeError`` for an action that tests did not make."""
    rehearsal = vars(action).get("_rehearsal")
    if rehearsal is None and isinstance(action._context, PlanContext):
        rehearsal = action._context._planner
    if not isinstance(rehearsal, Rehearsal):
        raise TypeError(f"{action!r} was not made by create_action or a function that follows it")
    return rehearsal


@contextmanager
def on(clock: ManagedClock) -> Iterator[None]:
    """What is called in here sees the clock's time."""
    token = own_time.set(clock)
    try:
        yield
    finally:
        own_time.reset(token)


def checked_class(kind: object) -> type[Action]:
    """Raises ``TypeError`` for what is no action class."""
    try:
        facts_of(kind, CLASSES_ONLY)  # type: ignore[arg-type]  # it says itself what it does not take
    except PlanningError as error:
        raise TypeError(str(error)) from None
    assert isinstance(kind, type)
    return kind


def class_name(kind: type[Action]) -> str:
    """The class's own name, as messages say it."""
    return name_of(kind).rpartition(".")[2]
