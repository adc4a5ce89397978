"""Which action classes are planned along with which."""

from __future__ import annotations

from collections.abc import Iterator

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.registry import name_of, registry

_index: tuple[int, dict[str, tuple[type[Action], ...]]] = (-1, {})


def subscribers_of(kind: type[Action]) -> tuple[type[Action], ...]:
    """The classes that subscribe to exactly ``kind``, in the order of their definition."""
    global _index
    if _index[0] != registry.generation:
        _index = (registry.generation, _build())
    return _index[1].get(name_of(kind), ())


def _build() -> dict[str, tuple[type[Action], ...]]:
    index: dict[str, tuple[type[Action], ...]] = {}
    for subscriber in registry.all():
        for name in _subscribed_names(subscriber):
            index[name] = (*index.get(name, ()), subscriber)
    return index


def _subscribed_names(subscriber: type[Action]) -> Iterator[str]:
    wanted = subscriber.subscribe
    if wanted is None:
        return
    several = wanted if isinstance(wanted, (list, tuple, set, frozenset)) else (wanted,)
    yield from dict.fromkeys(one if isinstance(one, str) else name_of(one) for one in several)
