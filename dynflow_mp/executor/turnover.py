"""Workers that live, and how many of each queue came and went: what is told to people, and decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple


class Living(NamedTuple):
    """A worker process: its queue, when it was started (steady clock), whether it has said hello."""

    queue: str
    started: float
    ready: bool = False


class Turnover:
    """Owned by the core's thread. Ends are counted by cause: signals, exit statuses and a few words of ours."""

    def __init__(self, pools: Mapping[str, int]) -> None:
        self.living: dict[str, Living] = {}
        self._pools = dict(pools)
        self._hired: Counter[str] = Counter()
        self._recycled: dict[str, Counter[str]] = {}
        self._ends: dict[str, Counter[str]] = {queue: Counter() for queue in pools}

    def started(self, worker_id: str, queue: str, now: float) -> None:
        """A worker process was started."""
        self._hired[queue] += 1
        self.living[worker_id] = Living(queue, now)

    def ready(self, worker_id: str) -> None:
        """It has said hello."""
        if worker_id in self.living:
            self.living[worker_id] = self.living[worker_id]._replace(ready=True)

    def ended(self, worker_id: str, queue: str, cause: str) -> None:
        """It is gone."""
        self.living.pop(worker_id, None)
        self._ends.setdefault(queue, Counter())[cause] += 1

    def has_done_enough(self, queue: str, limit: str) -> None:
        """A worker goes because it has reached this limit, and its successor is there."""
        self._recycled.setdefault(queue, Counter())[limit] += 1

    def recycled(self, queue: str) -> dict[str, int]:
        """How many workers went because they had done enough, by the limit that says so."""
        return dict(self._recycled.get(queue, {}))

    def restarts(self, queue: str) -> int:
        """How many workers were started there beside the first of each place."""
        return max(0, self._hired[queue] - self._pools.get(queue, 0))

    def deaths(self, queue: str) -> dict[str, int]:
        """How many workers ended there, by what they ended of."""
        return dict(self._ends.get(queue, {}))
