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
from typing import Any, NamedTuple
from uuid import UUID

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.middleware import CLASSES_ONLY, MiddlewareRules, call
from dynflow_mp.actions.policy import deadline_of
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.codec import MAX_PAYLOAD
from dynflow_mp.model.plans import PlannedPlan, PlannedStep
from dynflow_mp.model.states import PlanState, result_of
from dynflow_mp.planning.class_facts import ClassFacts, facts_of
from dynflow_mp.planning.flow_builder import FlowBuilder
from dynflow_mp.planning.labels import MAX_LABEL, label_of
from dynflow_mp.planning.plan_context import PlanContext


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
    middleware: MiddlewareRules = CLASSES_ONLY,
    root_input: Mapping[str, Any] | None = None,
    deadline_s: float | None = None,
) -> Planned:
    """Plan ``action_class``. What its ``plan`` raises ends up in the plan (stopped, with an error), not here.

    ``now`` tells microseconds UTC, ``caller`` is the plan and action of which this is a sub-plan,
    ``root_input`` what the root action has in its input before it is planned, ``deadline_s`` takes the place of the
    root class's own.
    Raises :class:`PlanningError` for what is no action or no plan id, :class:`CyclicMiddleware` for a root around
    which no order can be found: then there is nothing to plan.
    """
    checked_id = _checked_id(plan_id) if plan_id is not None else new_id()
    planner = Planner(checked_id, now, max_payload, middleware, deadline_s)
    return planner.plan_root(action_class, args, dict(kwargs), caller, dict(root_input or {}))


def _checked_id(plan_id: str) -> str:
    try:
        return str(UUID(plan_id))
    except (ValueError, AttributeError, TypeError):
        raise PlanningError(f"the plan id {plan_id!r} is not a UUID") from None


class Planner:
    """Plans one plan, once."""

    def __init__(
        self,
        plan_id: str,
        now: Callable[[], int],
        max_payload: int,
        middleware: MiddlewareRules,
        deadline_s: float | None = None,
    ) -> None:
        self.plan_id = plan_id
        self.now = now
        self.max_payload = max_payload
        self.deadline_s = deadline_s
        self.flows = FlowBuilder()
        self.contexts: list[PlanContext] = []
        """One per action, by action id from 1."""
        self.last_step_id = 0
        self._classes: dict[type[Action], ClassFacts] = {}
        self._middleware = middleware

    def plan_root(
        self,
        kind: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: tuple[str, int] | None,
        root_input: dict[str, Any],
    ) -> Planned:
        facts = self._facts_of(kind)
        if self.deadline_s is None:
            self.deadline_s = deadline_of(kind)
        root, context = self._prepare(kind, facts, None, False)
        context.set_input(root_input)
        try:
            self._plan_phase(root, context, args, kwargs)
        except Exception as error:
            context.failure = error
        label = _label_of(root, context)
        return Planned(self._gathered(context, label, caller), self._first_error(), root)

    def _plan_phase(
        self, root: Action, context: PlanContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Plan everything, with what stands around the phase. An error stays the plan's, whoever catches it."""

        def everything() -> None:
            self._plan_within(root, context, args, kwargs)
            try:
                self.flows.require_resolved()
            except Exception as error:
                context.failure = error
                raise

        layers = context.facts.around.plan_phase
        if not layers:
            return everything()
        try:
            call(layers, "plan_phase", self.plan_id, None, everything)()
        except Failed as failed:
            raise failed.unwrapped() from None
        finally:
            context.is_open = False

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
        self, kind: type[Action], facts: ClassFacts, parent: Action | None, from_subscription: bool
    ) -> tuple[Action, PlanContext]:
        before = self.last_step_id
        try:
            context = PlanContext(self, facts, len(self.contexts) + 1, parent, from_subscription)
        except RecursionError:  # it may strike anywhere: no number may go to a step that is not there
            self.last_step_id = before
            raise
        self.contexts.append(context)
        return action_in(kind, context), context

    def _plan_within(
        self, action: Action, context: PlanContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Plan ``action`` and its subscribers; note how it ended, and let an error rise to who planned it."""
        flows = self.flows
        try:
            container = flows.open_concurrence()
            try:
                layers = context.facts.around.plan
                if layers:
                    call(layers, "plan", self.plan_id, action, action.plan)(*args, **kwargs)
                else:
                    action.plan(*args, **kwargs)
            finally:
                added = flows.close(container)
            if context.facts.subscribers:
                self._plan_subscribers(action, context.facts.subscribers, added, args, kwargs)
            context.encode_input(self.max_payload)
            if context.facts.input_format is not None:
                context.check_input(context.facts.input_format)
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

    def _facts_of(self, kind: type[Action]) -> ClassFacts:
        facts = self._classes.get(kind)
        if facts is None:
            facts = self._classes[kind] = facts_of(kind, self._middleware)
        return facts

    # -- the whole plan --------------------------------------------------------------------------

    def _first_error(self) -> BaseException | None:
        return next((context.failure for context in self.contexts if context.failure is not None), None)

    def _gathered(self, root: PlanContext, label: str, caller: tuple[str, int] | None) -> PlannedPlan:
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
            deadline_at=self._deadline_at(root),
        )

    def _deadline_at(self, root: PlanContext) -> int | None:
        return None if self.deadline_s is None else root.started_at + int(self.deadline_s * 1_000_000)

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


def _label_of(root: Action, context: PlanContext) -> str:
    try:
        return label_of(root)
    except Exception as error:
        context.failure = context.failure or error
        return type(root).__name__[:MAX_LABEL]
