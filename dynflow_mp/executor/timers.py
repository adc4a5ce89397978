"""What the core has to do later: a heap of times on a steady clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")
_FEW = 256
"""So many may be forgotten and still lie about."""


class Timers(Generic[T]):
    """Things by due time (seconds of a steady clock); equal times keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()
        self._forgotten: set[T] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: float, what: T) -> None:
        heapq.heappush(self._heap, (due, next(self._order), what))

    def forget(self, what: T) -> None:
        """It is not wanted any more, if it is there at all. What many forgot is taken out together."""
        self._forgotten.add(what)
        if len(self._forgotten) > max(_FEW, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2] not in self._forgotten]
            heapq.heapify(self._heap)
            self._forgotten.clear()

    def due(self, now: float) -> Iterator[T]:
        """Take out everything whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            what = heapq.heappop(self._heap)[2]
            if what in self._forgotten:
                self._forgotten.remove(what)
            else:
                yield what

    @property
    def next_due(self) -> float | None:
        """When the next one is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    @property
    def next(self) -> tuple[float, T] | None:
        """The next one with its due time; None if there is none."""
        return (self._heap[0][0], self._heap[0][2]) if self._heap else None

    def __iter__(self) -> Iterator[tuple[float, T]]:
        """All of them with their due times, the next one first."""
        return ((due, what) for due, _, what in sorted(self._heap, key=lambda entry: entry[:2]))

    def wait(self, now: float, longest: float) -> float:
        """Seconds until the next one, at most ``longest``."""
        if not self._heap:
            return longest
        return min(longest, max(0.0, self._heap[0][0] - now))
