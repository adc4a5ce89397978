"""What planning needs to know of an action class."""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.formats import Format, format_of
from dynflow_mp.actions.middleware import Around, MiddlewareRules
from dynflow_mp.actions.policy import policy_of
from dynflow_mp.actions.registry import name_of, registry
from dynflow_mp.actions.subscriptions import subscribers_of
from dynflow_mp.errors import PlanningError
from dynflow_mp.model.policies import ActionPolicy


class ClassFacts(NamedTuple):
    """Looked up once per plan."""

    name: str
    policy: ActionPolicy
    has_run: bool
    has_finalize: bool
    subscribers: tuple[type[Action], ...]
    around: Around
    input_format: Format | None


def facts_of(kind: type[Action], middleware: MiddlewareRules) -> ClassFacts:
    """Raises :class:`PlanningError` for what is no action class."""
    if not (isinstance(kind, type) and issubclass(kind, Action) and registry.has(kind)):
        raise PlanningError(f"{kind!r} is not an action class that plans can be made of")
    return ClassFacts(
        name_of(kind),
        policy_of(kind),
        callable(getattr(kind, "run", None)),
        callable(getattr(kind, "finalize", None)),
        subscribers_of(kind),
        middleware.around(kind),
        format_of(kind, "input_format"),
    )
