"""Sub-plans that are stored and may be run: taken up as there is room, so that memory holds few of them.

    StartSubPlans ─▶ ids wait here ─ few jobs are waiting ─▶ FreshWanted ─▶ reader ─▶ FreshLoaded ─▶ director

Nothing is lost with what is here: every one of these plans is requested in the database, and those that are
forgotten (the executor died, or there were too many) are asked for by the reconciler of any executor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

PAGE = 128
"""Plans read and claimed at a time."""
ENOUGH_JOBS = 128
"""With so many jobs waiting for workers, nothing more is taken up."""
MOST_IDS = 200_000
"""Some 100 bytes each."""


class FreshWanted(NamedTuple):
    """Ask the reader for these plans, those of them that are still to be run."""

    plan_ids: tuple[str, ...]


class Feeder:
    """Ids of plans that may be taken up. Owned by the core's thread."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._reading = 0

    def add(self, plan_ids: Iterable[str]) -> None:
        """These are stored and requested; what is too much is left to others."""
        room = MOST_IDS - len(self._waiting)
        self._waiting.extend(plan_id for _, plan_id in zip(range(room), plan_ids, strict=False))

    def take(self, waiting_jobs: int) -> FreshWanted | None:
        """What to read now; one page is on its way at a time, and one while it is worked off."""
        if not self._waiting or self._reading or waiting_jobs >= ENOUGH_JOBS:
            return None
        count = min(PAGE, len(self._waiting))
        self._reading = count
        return FreshWanted(tuple(self._waiting.popleft() for _ in range(count)))

    def arrived(self) -> None:
        """The page was brought, or could not be."""
        self._reading = 0

    def close(self) -> None:
        """This executor takes nothing more."""
        self._waiting.clear()
