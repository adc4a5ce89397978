"""What stands before each step of a flow and is not done: the part of the flow that it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynflow_mp.model.flows import Flow, Sequence

_NAMED = 3


class Blocker(NamedTuple):
    """A part of the flow with ``left`` steps to be done, the ``first`` of them by id."""

    first: tuple[int, ...]
    left: int


_NOTHING = Blocker((), 0)


def blockers(flow: Flow, passed: Callable[[int], bool]) -> dict[int, Blocker | None]:
    """By step that has not passed, what is left of the part before it; None for one that nothing holds back.

    Of a sequence nothing begins before all that stands before it has passed; so the first part that has not counts.
    """
    left = _left(flow, passed)
    found: dict[int, Blocker | None] = {}
    todo: list[tuple[Flow, Blocker | None]] = [(flow, None)]
    while todo:
        item, blocker = todo.pop()
        if isinstance(item, int):
            if not passed(item):
                found[item] = blocker
        elif isinstance(item, Sequence):
            for part in item:
                todo.append((part, blocker))
                if blocker is None and left[_key(part)].left:
                    blocker = left[_key(part)]
        else:
            todo.extend((part, blocker) for part in item)
    return found


def _left(flow: Flow, passed: Callable[[int], bool]) -> dict[int, Blocker]:
    """By part of the flow, what of it has not passed."""
    found: dict[int, Blocker] = {}
    parts: list[Flow] = []
    todo: list[Flow] = [flow]
    while todo:
        item = todo.pop()
        parts.append(item)
        if not isinstance(item, int):
            todo.extend(item)
    for item in reversed(parts):  # each after what is in it
        if isinstance(item, int):
            found[item] = _NOTHING if passed(item) else Blocker((item,), 1)
            continue
        first: tuple[int, ...] = ()
        number = 0
        for part in item:
            own = found[_key(part)]
            number += own.left
            if len(first) < _NAMED:
                first = (*first, *own.first)[:_NAMED]
        found[_key(item)] = Blocker(first, number)
    return found


def _key(item: Flow) -> int:
    """Steps by their ids; what is composed by where it lies in memory, which is below zero here."""
    return item if isinstance(item, int) else -id(item)
