"""Watches over calls whose class has a limit of time or memory.

    sent ─▶ (its page says: begun) ─▶ its time runs ─┬─ answered ─▶ over
                                                     └─ too long, too large ─▶ Exceeded

Only such calls are looked at, and they travel alone: what others cost does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.stops import MEMORY_LIMIT, TIMEOUT

_BEGUN_S = 0.005
"""How often to look whether a job that was sent has begun: its time must not begin before it does."""
_MEMORY_S = 0.05
_MIB = 1024 * 1024


class Limits(NamedTuple):
    """What one call may take."""

    run_timeout_s: float | None
    memory_limit: int | None
    what: str = "one call of run"
    """What it is called when it took too long, and the setting that says so."""
    setting: str = "run_timeout_s"


class Exceeded(NamedTuple):
    """A call took more than it may; ``at_once``: it could take the machine's memory while it is asked."""

    worker_id: str
    number: int
    cause: str
    message: str
    at_once: bool


def limits_of(policy: ActionPolicy) -> Limits | None:
    """None where there are none."""
    if policy.run_timeout_s is None and policy.memory_limit is None:
        return None
    return Limits(policy.run_timeout_s, policy.memory_limit)


@dataclass(slots=True)
class _Watched:
    worker_id: str
    number: int
    limits: Limits
    look_at: float
    ends: float | None = None
    """When its time is over; known once it has begun."""
    begun: bool = False
    exceeded: bool = False


class LimitWatch:
    """Owned by the core's thread. ``now`` in seconds of a steady clock.

    ``begun`` tells the number of the job a worker began last, ``resident`` how many bytes it has in memory
    (None: not known here).
    """

    def __init__(self, begun: Callable[[str], int], resident: Callable[[str], int | None]) -> None:
        self._begun, self._resident = begun, resident
        self._watched: dict[tuple[str, int], _Watched] = {}

    def __bool__(self) -> bool:
        return bool(self._watched)

    def sent(self, worker_id: str, number: int, limits: Limits, now: float) -> None:
        """A call with limits is on its way to a worker."""
        self._watched[worker_id, number] = _Watched(worker_id, number, limits, now)

    def over(self, worker_id: str, number: int) -> None:
        """It was answered for, or given back."""
        self._watched.pop((worker_id, number), None)

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        for key in [key for key in self._watched if key[0] == worker_id]:
            del self._watched[key]

    def look(self, now: float) -> list[Exceeded]:
        """Which calls have taken more than they may; each is named once."""
        due = [watched for watched in self._watched.values() if watched.look_at <= now]
        return [exceeded for watched in due for exceeded in self._look(watched, now)]

    def _look(self, watched: _Watched, now: float) -> Iterable[Exceeded]:
        timeout_s, memory_limit, what, setting = watched.limits
        if not watched.begun:
            if self._begun(watched.worker_id) < watched.number:
                watched.look_at = now + _BEGUN_S
                return
            watched.begun = True
            watched.ends = None if timeout_s is None else now + timeout_s
        if watched.ends is not None and now >= watched.ends:
            watched.ends = None
            message = f"{what} took longer than {timeout_s:g} s ({setting})"
            yield Exceeded(watched.worker_id, watched.number, TIMEOUT, message, False)
        if memory_limit is not None and not watched.exceeded:
            size = self._resident(watched.worker_id)
            if size is not None and size > memory_limit:
                watched.exceeded = True
                yield Exceeded(
                    watched.worker_id, watched.number, MEMORY_LIMIT, _too_large(size, memory_limit), True
                )
        watched.look_at = self._next_look(watched, now)

    def _next_look(self, watched: _Watched, now: float) -> float:
        ends = float("inf") if watched.ends is None else watched.ends
        watches_memory = watched.limits.memory_limit is not None and not watched.exceeded
        return min(ends, now + _MEMORY_S) if watches_memory else ends

    def wait(self, now: float, longest: float) -> float:
        """Seconds until the next look is due, at most ``longest``."""
        next_look = min((watched.look_at for watched in self._watched.values()), default=now + longest)
        return min(longest, max(0.0, next_look - now))


def _too_large(size: int, limit: int) -> str:
    return (
        f"its worker had {size / _MIB:,.0f} MiB in memory, more than {limit / _MIB:,.0f} MiB (memory_limit)"
    )
