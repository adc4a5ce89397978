"""How a class says which of its methods are hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from dynflow_mp.errors import DefinitionError
from dynflow_mp.model.hooks import KINDS, STATES
from dynflow_mp.model.states import PlanState, Result

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "_dynflow_hook_kinds"
_FOUND = "_dynflow_hooks"


class HookedPlan(NamedTuple):
    """What a hook is told about its plan: as it was when its state changed."""

    id: str
    label: str
    state: PlanState
    result: Result


def hook(*kinds: Any) -> Any:
    """Have a method called, as ``method(self, plan)`` in a worker, when the action's plan changes its state::

        @hook("paused", "failure")
        def tell(self, plan): ...

    Kinds are all states of plans, and ``success`` and ``failure`` for one that has stopped; without any, all states.
    Derived classes inherit it; one that has a method of the name without ``hook`` has it not. It is called at least
    once, after the change was stored; what it raises is logged. Raises :class:`DefinitionError` for a kind that there is not.
    """
    if len(kinds) == 1 and callable(kinds[0]) and not isinstance(kinds[0], str):
        return hook()(kinds[0])
    named = [str(kind) for kind in kinds]
    for kind in named:
        if kind not in KINDS:
            raise DefinitionError(f"there are no hooks for {kind!r}; there are for {', '.join(KINDS)}")

    def mark(method: F) -> F:
        setattr(method, _MARK, tuple(named) or STATES)
        return method

    return mark


def note_hooks(kind: type) -> None:
    """Find the hooks of a class once, when it is defined."""
    methods: dict[str, tuple[str, ...]] = {}
    for base in reversed(kind.__mro__):
        for name, value in vars(base).items():
            marked = getattr(value, _MARK, None)
            if marked is not None:
                methods[name] = marked
            elif name in methods:
                del methods[name]
    if methods or hooks_of(kind):
        found: dict[str, list[str]] = {}
        for name, kinds in methods.items():
            for one in kinds:
                found.setdefault(one, []).append(name)
        setattr(kind, _FOUND, found)


def hooks_of(kind: type) -> dict[str, list[str]]:
    """The names of a class's hooks by what they are called for."""
    found: dict[str, list[str]] = getattr(kind, _FOUND, {})
    return found
