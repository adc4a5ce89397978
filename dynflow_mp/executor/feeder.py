"""Sub-plans that are stored and may be run: taken up as there is room, so that memory holds few of them.

    StartSubPlans ─▶ ids wait here ─ few jobs are waiting ─▶ FreshWanted ─▶ reader ─▶ FreshLoaded ─▶ director

Nothing is lost with what is here: every one of these plans is requested in the database, and those that are
forgotten (the executor died, or there were too many) are found by the reconciler of any executor; so are those that
wait for long, so that executors with nothing else to do take their part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

MOST_IDS = 200_000
"""Some 100 bytes each."""


class FreshWanted(NamedTuple):
    """Ask the reader for these plans, those of them that are still to be run."""

    plan_ids: tuple[str, ...]


class Feeder:
    """Ids of plans that may be taken up. Owned by the core's thread."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._reading = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, plan_ids: Iterable[str]) -> None:
        """These are stored and requested; what is too much is left to others."""
        room = MOST_IDS - len(self._waiting)
        self._waiting.extend(plan_id for _, plan_id in zip(range(room), plan_ids, strict=False))

    def offered(self, plan_ids: Iterable[str]) -> None:
        """These have waited for long, wherever they were triggered: some for us, if there is nothing else."""
        if not self._waiting:
            self.add(plan_ids)

    def take(self, waiting_jobs: int, enough: int) -> FreshWanted | None:
        """What to read now, if fewer jobs than ``enough`` wait for workers; one page is on its way at a time."""
        if not self._waiting or self._reading or waiting_jobs >= enough:
            return None
        count = min(enough, len(self._waiting))
        self._reading = True
        return FreshWanted(tuple(self._waiting.popleft() for _ in range(count)))

    def arrived(self) -> None:
        """The page was brought, or could not be."""
        self._reading = False
