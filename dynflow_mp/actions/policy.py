"""What an action class asks of the engine, read from its attributes."""

from __future__ import annotations

from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.cancellable import Cancellable
from dynflow_mp.actions.event_parameter import accepts_event
from dynflow_mp.actions.hooking import hooks_of
from dynflow_mp.actions.limits import memory_limit_of, run_timeout_of
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.singleton import Singleton
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.policies import ActionPolicy, RescueStrategy
from dynflow_mp.model.retries import Retry

__all__ = ["ActionPolicy", "RescueStrategy", "deadline_of", "is_span", "policy_of"]

_LONGEST_S = 100_000_000
_LONGEST_QUEUE = 100


def policy_of(kind: type[Action]) -> ActionPolicy:
    """The class's facts as data. Raises :class:`PlanningError` for an attribute that cannot be meant."""
    _check_queue(kind)
    retry = kind.retry
    if retry is not None and not isinstance(retry, Retry):
        raise PlanningError(f"{name_of(kind)}.retry is {retry!r}; it must be a Retry, or None")
    if not isinstance(kind.idempotent, bool):
        raise PlanningError(f"{name_of(kind)}.idempotent is {kind.idempotent!r}; it must be True or False")
    return ActionPolicy(
        kind.queue,
        accepts_event(kind),
        _strategy_of(kind),
        kind.idempotent,
        cancellable=is_cancellable(kind),
        run_timeout_s=run_timeout_of(kind),
        memory_limit=memory_limit_of(kind),
        with_sub_plans=kind._with_sub_plans,
        singleton=issubclass(kind, Singleton),
        retry=None if retry is None else retry.frozen(),
        asks_for_rescue=_asks_for_rescue(kind),
        hooks=" ".join(hooks_of(kind)),
        sensitive=tuple(kind.sensitive),
    )


def _check_queue(kind: type[Action]) -> None:
    """What no row, and no message, can hold is found here, where its class can be told."""
    queue = kind.queue
    if queue is None:
        return
    if not (isinstance(queue, str) and queue):
        raise PlanningError(f"{name_of(kind)}.queue is {queue!r}; it must be the name of a queue")
    if len(queue) > _LONGEST_QUEUE:
        raise PlanningError(
            f"{name_of(kind)}.queue has a name of {len(queue)} letters; {_LONGEST_QUEUE} is the most"
        )


def deadline_of(kind: type[Action]) -> float | None:
    """How long a plan of this root action may take (seconds). Raises :class:`PlanningError`."""
    given: Any = kind.deadline_s
    if given is None:
        return None
    if is_span(given):
        return float(given)
    raise PlanningError(
        f"{name_of(kind)}.deadline_s is {given!r}; it must be a number of seconds above 0, or None"
    )


def is_span(given: Any) -> bool:
    """Whether this is a number of seconds above 0, and no longer than the system's clocks take."""
    return isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given <= _LONGEST_S


def _asks_for_rescue(kind: type[Action]) -> bool:
    return (
        kind.rescue_strategy_for_self is not Action.rescue_strategy_for_self
        or kind.rescue_strategy_for_planned_action is not Action.rescue_strategy_for_planned_action
    )


def _strategy_of(kind: type[Action]) -> str | None:
    if kind.rescue_strategy is None:
        return None
    try:
        return RescueStrategy(kind.rescue_strategy).value
    except ValueError:
        allowed = ", ".join(RescueStrategy)
        raise PlanningError(
            f"{name_of(kind)}.rescue_strategy is {kind.rescue_strategy!r}; it must be one of {allowed}, or None"
        ) from None


def is_cancellable(kind: type[Action]) -> bool:
    """Whether steps of the class can be sent Cancel and Abort."""
    if not issubclass(kind, Cancellable):
        return False
    if not accepts_event(kind):
        raise PlanningError(
            f"{name_of(kind)} is Cancellable, but its run takes no event: write run(self, event=None), and "
            "super().run(event) in it"
        )
    return True
