"""What a process that calls actions knows of each class: gathered once, asked for with every call."""

from __future__ import annotations

from math import isfinite
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.event_parameter import accepts_event
from dynflow_mp.actions.layers import Layered, layered
from dynflow_mp.actions.middleware import MiddlewareRules, set_world_middleware, world_middleware
from dynflow_mp.actions.registry import registry
from dynflow_mp.model.retries import Retry

DEFAULT_PROGRESS = 0.5


class ClassFacts(NamedTuple):
    """What does not change between the steps of one class."""

    kind: type[Action]
    takes_event: bool
    retry: Retry | None
    run_pair: tuple[float, float] | None
    """Progress and weight where the class overrides neither method; None: they must be asked."""
    finalize_pair: tuple[float, float] | None
    layered: Layered | None
    """What stands around its calls; None, and free of charge, where nothing does."""


_facts: dict[str, ClassFacts] = {}
_facts_generation = -1


def use_middleware(rules: MiddlewareRules) -> None:
    """From now on these rules stand around the classes of this process: a worker is of one world."""
    set_world_middleware(rules)
    _facts.clear()


def facts_of(name: str) -> ClassFacts:
    """The facts of the class stored as ``name``. Raises :class:`UnknownAction`."""
    global _facts_generation
    if _facts_generation != registry.generation:
        _facts.clear()
        _facts_generation = registry.generation
    facts = _facts.get(name)
    if facts is None:
        facts = _facts[name] = _gather(registry.find(name))
    return facts


def _gather(kind: type[Action]) -> ClassFacts:
    return ClassFacts(
        kind,
        accepts_event(kind),
        kind.retry if isinstance(kind.retry, Retry) else None,
        _constant_pair(kind.run_progress is Action.run_progress, kind.run_progress_weight),
        _constant_pair(kind.finalize_progress is Action.finalize_progress, kind.finalize_progress_weight),
        layered(kind, world_middleware()),
    )


def _constant_pair(progress_is_default: bool, weight: Any) -> tuple[float, float] | None:
    if progress_is_default and type(weight) in (int, float) and isfinite(weight):
        return DEFAULT_PROGRESS, float(weight)
    return None
