"""Methods of actions that are called when the state of their plan has changed.

state stored, call noted ─▶ errand ─▶ worker: each action whose class asked ─ hook middleware ─▶ its methods
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dynflow_mp.actions.action import action_in
from dynflow_mp.actions.failure import exception_name, message_of
from dynflow_mp.actions.hooking import HookedPlan, hook, hooks_of
from dynflow_mp.actions.middleware import MiddlewareRules, call
from dynflow_mp.actions.registry import registry
from dynflow_mp.actions.stored_context import StoredContext
from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.errors import UnknownAction
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.hooks import HookedAction
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.stops import EXECUTOR_ENDED

__all__ = ["HookContext", "HookedAction", "HookedPlan", "call_hooks", "hook", "packed"]

_NO_LIMIT = 2**40


class HookContext(StoredContext[HookedAction]):
    """One action while its hooks are called: it is looked at, as when it is read."""

    __slots__ = ()

    @property
    def is_root(self) -> bool:
        return self._row.caller_action_id is None or self._row.caller_plan_id is not None


def packed(kinds: list[str], facts: tuple[str, str, str], actions: list[HookedAction]) -> bytes:
    """What :func:`call_hooks` is given; ``facts`` are the plan's label, state and result."""
    return encode([kinds, list(facts), [list(action) for action in actions]], "hooks", _NO_LIMIT)


def call_hooks(plan_id: str, data: bytes, rules: MiddlewareRules) -> list[str]:
    """Call the hooks of all these actions, for one kind after the other; what went wrong, a line each.

    A hook that raises keeps no other from being called.
    """
    kinds, (label, state, result), rows = decode(data)
    plan = HookedPlan(plan_id, label, PlanState(state), Result(result))
    failures: list[str] = []
    for kind in kinds:
        for fields in rows:
            _call_of_action(HookedAction(*fields), plan, kind, rules, failures)
    return failures


def _call_of_action(
    row: HookedAction, plan: HookedPlan, kind: str, rules: MiddlewareRules, failures: list[str]
) -> None:
    try:
        action_class = registry.find(row.action_class)
    except UnknownAction as error:
        failures.append(str(error))
        return
    names = hooks_of(action_class).get(kind)
    if not names:
        return
    action: Any = action_in(action_class, HookContext(plan.id, row))

    def all_hooks(news: HookedPlan) -> None:
        for name in names:
            _guarded(f"{row.action_class}.{name}", partial(getattr(action, name), news), failures)

    around = call(rules.around(action_class).hook, "hook", plan.id, action, all_hooks)
    now = kind in (plan.state.value, "success", "failure")
    news = plan if now else plan._replace(state=PlanState(kind), result=Result.PENDING)
    _guarded(f"the middleware around {row.action_class}", lambda: around(news), failures)


def _guarded(what: str, do: Callable[[], Any], failures: list[str]) -> None:
    try:
        do()
    except Stopped as stopped:
        if (
            stopped.cause == EXECUTOR_ENDED
        ):  # nothing that the hook did: all of them are called again elsewhere
            raise
        failures.append(_failure(what, stopped))
    except BaseException as error:  # also SystemExit: a hook's end, never the worker's
        failures.append(_failure(what, error))


def _failure(what: str, error: BaseException) -> str:
    return f"{what}: {exception_name(type(error))}: {message_of(error)}"
