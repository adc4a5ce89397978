"""What a planned action has planned, and which phases it has; what fails says what there was instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from dynflow_mp.actions.action import Action
from dynflow_mp.planning.plan_context import PlanContext
from dynflow_mp.testing.rehearsal import PlannedStandIn, checked_class, class_name, rehearsal_of

A = TypeVar("A", bound=Action)
Expected = Mapping[str, Any] | Callable[[dict[str, Any]], object] | None
"""An input as it should be, or a function that says whether one is as it should be."""


def assert_action_planned(action: Action, kind: type[A]) -> list[A]:
    """``action`` planned at least one ``kind``; those it planned, in order."""
    found = _planned(action, kind)
    if not found:
        _fail(f"{_name(action)} planned no {class_name(kind)}", _what_was_planned(action))
    return found


def refute_action_planned(action: Action, kind: type[Action]) -> None:
    """``action`` planned no ``kind``."""
    if _planned(action, kind):
        _fail(f"{_name(action)} planned {class_name(kind)}", _what_was_planned(action))


def assert_action_planned_with(action: Action, kind: type[A], /, *args: Any, **kwargs: Any) -> list[A]:
    """``action`` planned a ``kind`` with these arguments; those it planned so.

    It does not matter whether arguments were given by place or by name. A single function instead of arguments
    is called with them, and says whether it is as it should be.
    """
    planned = _planned(action, kind)
    if not kwargs and len(args) == 1 and _is_predicate(args[0]):
        found = [child for child in planned if _holds(args[0], child)]
        wanted = f"with arguments for which {_named(args[0])} holds"
    else:
        expected = _bound(kind, args, kwargs)
        found = [child for child in planned if _bound(kind, *_arguments(child)) == expected]
        wanted = f"with {_call(kind, args, kwargs)}"
    if not found:
        _fail(f"{_name(action)} planned no {class_name(kind)} {wanted}", _what_was_planned(action))
    return found


def assert_run_phase(action: Action, input: Expected = None) -> None:  # noqa: A002 - what Dynflow and the users call it
    """``action`` has a run step, with this input (its references as references) if one is given."""
    _assert_step(action, "run", _context(action).run_step_id, input)


def refute_run_phase(action: Action) -> None:
    """``action`` has no run step."""
    if _context(action).run_step_id is not None:
        _fail(f"{_name(action)} has a run step", f"its input: {action.input!r}")


def assert_finalize_phase(action: Action, input: Expected = None) -> None:  # noqa: A002 - what Dynflow and the users call it
    """``action`` has a finalize step, with this input if one is given."""
    _assert_step(action, "finalize", _context(action).finalize_step_id, input)


def refute_finalize_phase(action: Action) -> None:
    """``action`` has no finalize step."""
    if _context(action).finalize_step_id is not None:
        _fail(f"{_name(action)} has a finalize step", f"its input: {action.input!r}")


def _assert_step(action: Action, phase: str, step_id: int | None, expected: Expected) -> None:
    if step_id is None:
        _fail(f"{_name(action)} has no {phase} step", _why_none(action, phase))
    if expected is None:
        return
    if callable(expected):
        if not expected(action.input):
            _fail(f"{_name(action)}: {_named(expected)} does not hold for its input", repr(action.input))
    elif action.input != dict(expected):
        _fail(
            f"{_name(action)} has another input",
            f"expected: {dict(expected)!r}",
            f"it has:   {action.input!r}",
        )


def _why_none(action: Action, phase: str) -> str:
    if not callable(getattr(action, phase, None)):
        return f"the class has no {phase}()"
    return "its plan() did not call plan_self"


# -- looking -------------------------------------------------------------------------------------------


def _context(action: Action) -> PlanContext:
    """Only of an action that was planned."""
    rehearsal_of(action)
    context = action._context
    if not isinstance(context, PlanContext):
        raise TypeError(
            f"{action!r} has run; what it planned is asked of the action that run_action was given"
        )
    if context.is_open:
        raise TypeError(f"{action!r} was not planned yet: plan_action comes first")
    return context


def _planned(action: Action, kind: type[A]) -> list[A]:
    checked_class(kind)
    return [child for child in _children(action) if isinstance(child, kind)]


def _children(action: Action) -> list[Action]:
    _context(action)
    return [child for child in rehearsal_of(action).planned if _stand_in(child).triggering is action]


def _stand_in(child: Action) -> PlannedStandIn:
    assert isinstance(child._context, PlannedStandIn)  # nothing else is among what was planned
    return child._context


def _arguments(child: Action) -> tuple[tuple[Any, ...], dict[str, Any]]:
    context = _stand_in(child)
    return context.args, context.kwargs


def _bound(kind: type[Action], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names that ``plan`` gives them; of an action without its own, its input."""
    if kind.plan is Action.plan and all(isinstance(given, Mapping) for given in args[:1]) and len(args) < 2:
        return {**(args[0] if args else {}), **kwargs}
    bound = inspect.signature(kind.plan).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def _is_predicate(given: object) -> bool:
    return callable(given) and not isinstance(given, type)


def _holds(predicate: Callable[..., object], child: Action) -> bool:
    args, kwargs = _arguments(child)
    return bool(predicate(*args, **kwargs))


# -- saying --------------------------------------------------------------------------------------------


def _fail(*lines: str) -> NoReturn:
    raise AssertionError("\n".join(lines))


def _name(action: Action) -> str:
    return class_name(type(action))


def _named(predicate: Callable[..., object]) -> str:
    return getattr(predicate, "__name__", repr(predicate))


def _what_was_planned(action: Action) -> str:
    calls = [f"  {_call(type(child), *_arguments(child))}" for child in _children(action)]
    return "\n".join(["it planned:", *calls]) if calls else "it planned nothing"


def _call(kind: type[Action], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    shown = [repr(value) for value in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
    return f"{class_name(kind)}({', '.join(shown)})"
