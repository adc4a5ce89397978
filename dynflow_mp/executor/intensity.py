"""How often workers failed lately, and whether that is too often: then this executor is *degraded*.

    a worker cannot start ─▶ start failures ─┐ more than 5 in a minute
                                             ├──▶ degraded ── a worker lives, and none failed for 5 s ──▶ well
    a worker dies by itself ─▶ deaths ───────┘ as many as are allowed in a minute

Only counts and says so; what an executor leaves undone while it is degraded is others' business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

WINDOW_S = 60.0
MOST_START_FAILURES = 5
DEATHS_A_WORKER = 5
"""Large pools may lose so many for each worker."""
CALM_S = 5.0


class Intensity:
    """By queue. Owned by the core's thread; ``now`` in seconds of a steady clock.

    ``alive`` tells how many workers of a queue have said hello and live.
    """

    def __init__(self, pools: Mapping[str, int], most_deaths: int, alive: Callable[[str], int]) -> None:
        self._allowed = {queue: max(most_deaths, DEATHS_A_WORKER * size) for queue, size in pools.items()}
        self._alive = alive
        self._start_failures: dict[str, deque[float]] = {queue: deque() for queue in pools}
        self._deaths: dict[str, deque[float]] = {queue: deque() for queue in pools}
        self._last: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    @property
    def degraded(self) -> str | None:
        """Why, in a sentence; None while all is well."""
        return next(iter(self._reasons.values()), None)

    def start_failed(self, queue: str, reason: str, now: float) -> bool:
        """A worker could not start; True if that is now too often."""
        failures = _within(self._start_failures[queue], now)
        self._last[queue] = now
        if len(failures) <= MOST_START_FAILURES:
            return False
        self._reasons.setdefault(
            queue,
            f"{len(failures)} workers of queue {queue!r} could not start within {WINDOW_S:.0f} s: {reason}",
        )
        return True

    def died(self, queue: str, reason: str, now: float) -> None:
        """A worker is gone that nobody had told to go."""
        deaths = _within(self._deaths[queue], now)
        self._last[queue] = now
        if len(deaths) >= self._allowed[queue]:
            self._reasons.setdefault(
                queue,
                f"{len(deaths)} workers of queue {queue!r} died within {WINDOW_S:.0f} s, the last: {reason}",
            )

    def look(self, now: float) -> None:
        """Whether it has become calm."""
        for queue in list(self._reasons):
            if now - self._last[queue] >= CALM_S and self._alive(queue):
                del self._reasons[queue]
                self._start_failures[queue].clear()
                self._deaths[queue].clear()


def _within(times: deque[float], now: float) -> deque[float]:
    """With this one, those of the last minute."""
    times.append(now)
    while now - times[0] > WINDOW_S:
        times.popleft()
    return times
