"""How many workers each queue has, and when a lost one is replaced.

A lost worker's place is filled at once; a place whose workers keep failing is filled later and
later, so that a broken application does not keep a machine busy with dying processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
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

    def __init__(self, pools: Mapping[str, int]) -> None:
        self._pools = dict(pools)
        self._started: dict[str, float] = {}
        self._ready: set[str] = set()
        self._failures: dict[str, int] = {}

    def first_posts(self) -> list[str]:
        """The queue of every worker to start with."""
        return [queue for queue, size in self._pools.items() for _ in range(size)]

    def started(self, worker_id: str, now: float) -> None:
        """A worker process was started."""
        self._started[worker_id] = now

    def ready(self, worker_id: str) -> None:
        """A worker said hello."""
        self._ready.add(worker_id)

    @property
    def complete(self) -> bool:
        """Every place is filled with a worker that said hello."""
        return len(self._ready) >= sum(self._pools.values())

    def ended(self, worker_id: str, queue: str, now: float, by_us: bool = False) -> Post:
        """A worker is gone (or never came up); returns the place to fill again.

        ``by_us``: it was ended for a step that had to be stopped, which says nothing about the application.
        """
        lived_s = now - self._started.pop(worker_id, now)
        self._ready.discard(worker_id)
        if by_us:
            return Post(queue, 0.0)
        failures = 0 if lived_s >= _STABLE_S else self._failures.get(queue, 0) + 1
        self._failures[queue] = failures
        return Post(queue, _delay(failures - _FREE_DEATHS))

    def failed_to_start(self, queue: str) -> Post:
        """A worker could not start: its place waits longer each time."""
        failures = self._failures[queue] = self._failures.get(queue, 0) + 1
        return Post(queue, _delay(failures))


def _delay(failures: int) -> float:
    return 0.0 if failures <= 0 else min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** (failures - 1))
