"""What the core has to do later: a heap of times on a steady clock."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Timers(Generic[T]):
    """Things by due time (seconds of a steady clock); equal times keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()

    def add(self, due: float, what: T) -> None:
        heapq.heappush(self._heap, (due, next(self._order), what))

    def due(self, now: float) -> Iterator[T]:
        """Take out everything whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    @property
    def next_due(self) -> float | None:
        """When the next one is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def __iter__(self) -> Iterator[tuple[float, T]]:
        """All of them with their due times, the next one first."""
        return ((due, what) for due, _, what in sorted(self._heap, key=lambda entry: entry[:2]))

    def wait(self, now: float, longest: float) -> float:
        """Seconds until the next one, at most ``longest``."""
        if not self._heap:
            return longest
        return min(longest, max(0.0, self._heap[0][0] - now))
