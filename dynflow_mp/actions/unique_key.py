"""The unique key of a new plan: what its root action's class says it is, or who triggers it."""

from __future__ import annotations

from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import BadUniqueKey
from dynflow_mp.model.held_by_plans import OnConflict, unfit_key
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.states import PlanState


def unique_key_of(root: Action, given: str | None) -> str | None:
    """The key of a plan whose root action has been planned. Raises :class:`BadUniqueKey`."""
    key = given if given is not None else _own_key(root)
    if key is None:
        return None
    reason = unfit_key(key)
    if reason is not None:
        raise BadUniqueKey(reason)
    return key


def with_key(plan: PlannedPlan, root: Action) -> PlannedPlan:
    """A plan that was planned where nobody waits for it, with the key its class gives it."""
    if plan.state is PlanState.STOPPED:
        return plan
    return plan._replace(unique_key=unique_key_of(root, None))


def mode_of(kind: type[Action], given: OnConflict | str | None) -> OnConflict:
    """What to do when the key is taken. Raises :class:`BadUniqueKey`."""
    mode = kind.unique_mode if given is None else given
    try:
        return OnConflict(mode)
    except ValueError:
        allowed = ", ".join(OnConflict)
        raise BadUniqueKey(f"on a conflict of unique keys: {mode!r} is none of {allowed}") from None


def _own_key(root: Action) -> Any:
    """A method is asked; a text is a pattern that the input fills in."""
    pattern: Any = root.unique_key
    name = f"{type(root).__name__}.unique_key"
    if pattern is None:
        return None
    try:
        if callable(pattern):
            return pattern()
        return pattern.format_map(root.input) if isinstance(pattern, str) else pattern
    except (KeyError, IndexError, AttributeError) as error:
        raise BadUniqueKey(f"{name}: {pattern!r} asks for {error}, which the input does not have") from error
    except (Exception, Failed) as left:
        raised = left.unwrapped() if isinstance(left, Failed) else left
        raise BadUniqueKey(f"{name}: {type(raised).__name__}: {raised}") from raised
