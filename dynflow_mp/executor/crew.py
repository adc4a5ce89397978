"""How many workers each queue has, and when a lost one is replaced.

A lost worker's place is filled at once; a place whose workers keep failing is filled later and
later, so that a broken application does not keep a machine busy with dying processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

Chance = Callable[[], float]
"""A number from 0 to 1, another one each time."""
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_SPREAD = 0.25
"""Places of several executors, whose application is broken in the same way, are not filled all at once."""
_STABLE_S = 10.0
"""A worker that lived so long did not fail at once: its place starts over."""
_FREE_DEATHS = 5
"""So many quick deaths in a row are replaced without delay: a plan may well kill a few workers."""


class Post(NamedTuple):
    """A worker to start: its queue, and how long to wait before (seconds)."""

    queue: str
    delay_s: float


class Crew:
    """The places of all queues. Owned by the core's thread; ``now`` in seconds of a steady clock."""

    def __init__(self, pools: Mapping[str, int], chance: Chance = lambda: 0.5) -> None:
        self._pools, self._chance = dict(pools), chance
        self._started: dict[str, float] = {}
        self._ready: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    def first_posts(self) -> list[str]:
        """The queue of every worker to start with."""
        return [queue for queue, size in self._pools.items() for _ in range(size)]

    def started(self, worker_id: str, now: float) -> None:
        """A worker process was started."""
        self._started[worker_id] = now

    def ready(self, worker_id: str, queue: str) -> None:
        """A worker said hello."""
        self._ready[worker_id] = queue

    def alive(self, queue: str) -> int:
        """How many workers of a queue have said hello and live."""
        return sum(1 for one in self._ready.values() if one == queue)

    @property
    def complete(self) -> bool:
        """Every place is filled with a worker that said hello."""
        return len(self._ready) >= sum(self._pools.values())

    def ended(
        self, worker_id: str, queue: str, now: float, by_us: bool = False, worked: bool = False
    ) -> Post:
        """A worker is gone (or never came up); returns the place to fill again.

        ``by_us``: it was told to go, for a step that had to be stopped, say; that tells nothing about the application.
        ``worked``: it brought jobs to their end before, so another can, too: its place starts over.
        """
        lived_s = now - self._started.pop(worker_id, now)
        self._ready.pop(worker_id, None)
        if by_us:
            return Post(queue, 0.0)
        failures = 0 if worked or lived_s >= _STABLE_S else self._failures[queue] + 1
        self._failures[queue] = failures
        return Post(queue, self._delay(failures - _FREE_DEATHS))

    def failed_to_start(self, worker_id: str, queue: str) -> Post:
        """A worker could not start: its place waits longer each time."""
        self._started.pop(worker_id, None)
        self._failures[queue] += 1
        return Post(queue, self._delay(self._failures[queue]))

    def _delay(self, failures: int) -> float:
        if failures <= 0:
            return 0.0
        spread = 1 + _SPREAD * (2 * self._chance() - 1)
        return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(failures - 1, 30) * spread)
