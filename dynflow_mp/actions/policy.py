"""What an action class asks of the engine, read from its attributes."""

from __future__ import annotations

from types import CodeType
from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.hooking import hooks_of
from dynflow_mp.actions.limits import memory_limit_of, run_timeout_of
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.singleton import Singleton
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.policies import ActionPolicy, RescueStrategy

__all__ = ["ActionPolicy", "RescueStrategy", "accepts_event", "policy_of"]

_VARARGS = 0x04


def policy_of(kind: type[Action]) -> ActionPolicy:
    """The class's facts as data. Raises :class:`PlanningError` for an attribute that cannot be meant."""
    if kind.queue is not None and not (isinstance(kind.queue, str) and kind.queue):
        raise PlanningError(f"{name_of(kind)}.queue is {kind.queue!r}; it must be the name of a queue")
    try:
        strategy = RescueStrategy(kind.rescue_strategy)
    except ValueError:
        allowed = ", ".join(RescueStrategy)
        raise PlanningError(
            f"{name_of(kind)}.rescue_strategy is {kind.rescue_strategy!r}; it must be one of {allowed}"
        ) from None
    return ActionPolicy(
        kind.queue,
        accepts_event(kind),
        strategy.value,
        bool(kind.idempotent),
        with_sub_plans=kind._with_sub_plans,
        cancellable=is_cancellable(kind),
        run_timeout_s=run_timeout_of(kind),
        memory_limit=memory_limit_of(kind),
        singleton=issubclass(kind, Singleton),
        hooks=" ".join(hooks_of(kind)),
    )


def is_cancellable(kind: type[Action]) -> bool:
    """Whether steps of the class can be sent Cancel and Abort."""
    # Not imported at the top: the ready-made actions are built on what this module knows.
    from dynflow_mp.actions.cancellable import Cancellable

    if not issubclass(kind, Cancellable):
        return False
    if not accepts_event(kind):
        raise PlanningError(
            f"{name_of(kind)} is Cancellable, but its run takes no event: write run(self, event=None), and "
            "super().run(event) in it"
        )
    return True


def accepts_event(kind: type[Action]) -> bool:
    """Whether the class's ``run`` has a parameter besides ``self``."""
    return takes_event(getattr(kind, "run", None))


def takes_event(run: Any) -> bool:
    """Whether this ``run``, as a class has it or bound to an action, has a parameter besides ``self``."""
    while hasattr(run, "__wrapped__"):
        run = run.__wrapped__
    code = getattr(run, "__code__", None)
    if not isinstance(code, CodeType):
        return run is not None
    return code.co_argcount > 1 or bool(code.co_flags & _VARARGS)
