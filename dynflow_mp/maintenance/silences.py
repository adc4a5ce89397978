"""Which worlds are over: by proof, or by a lease that has stood still for too long as this world sees it.

    alive, draining ─┬─ process gone ──────────────────────▶ recover
                     ├─ lease the same for the TTL ────────▶ recover   (executors, holders of locks)
                     └─ lease the same for a day ──────────▶ recover   (clients of hosts that nobody asks)
    dead ─┬─ still holds locks ────────────────────────────▶ recover
          └─ holds nothing, process gone or TTL passed ────▶ forget
    not registered, but holds locks ───────────────────────▶ recover

Clocks of other hosts are never read: a lease that was seen to change proves life, whatever it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import NamedTuple

from dynflow_mp.coordinator.records import WorldRecord, WorldState

_ABANDONED_S = 24 * 3600.0
"""A client that holds nothing is in nobody's way, and a machine may sleep for a night; but the register is not for ever."""


class _Observed(NamedTuple):
    state: str
    lease: int
    silence_s: float


class Silences:
    """How long the leases of worlds have stood still while this world looked (steady clock).

    Between two looks no more than ``longest_gap_s`` counts: while this world was stopped, or the
    database away, it saw nothing, and nobody could renew either. And it counts from the answer of one to the question
    of the next: what a slow database answers late may have been renewed a moment ago.
    """

    def __init__(self, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._observed: dict[str, _Observed] = {}
        self._looked_at: float | None = None

    def look(self, worlds: Iterable[WorldRecord], now: float, answered: float | None = None) -> None:
        """Compare the leases with what they were at the last look: asked for at ``now``, ``answered`` perhaps later."""
        gap_s = 0.0
        if self._looked_at is not None:
            gap_s = min(max(0.0, now - self._looked_at), self._longest_gap_s)
        self._looked_at = now if answered is None else answered
        self._observed = {world.id: self._compared(world, gap_s) for world in worlds}

    def _compared(self, world: WorldRecord, gap_s: float) -> _Observed:
        before = self._observed.get(world.id)
        state = str(world.state)
        unchanged = before is not None and (before.state, before.lease) == (state, world.lease)
        silence_s = before.silence_s + gap_s if before is not None and unchanged else 0.0
        return _Observed(state, world.lease, silence_s)

    def of(self, world_id: str) -> float:
        """For how many seconds nothing of this world's state and lease has changed."""
        observed = self._observed.get(world_id)
        return 0.0 if observed is None else observed.silence_s


class Verdict(NamedTuple):
    """Ids of worlds: whose plans are to be taken over, and whose record serves nobody any more."""

    recover: list[str]
    forget: list[str]


def judge(
    worlds: Iterable[WorldRecord],
    holders: Set[str],
    silence_of: Callable[[str], float],
    lease_ttl_s: float,
    gone: Callable[[WorldRecord], bool],
) -> Verdict:
    """What is to be done about these worlds, when ``holders`` held locks a moment before they were read."""
    recover, forget, registered = [], [], set()
    for world in worlds:
        registered.add(world.id)
        holds = world.id in holders
        silence_s = silence_of(world.id)
        silent = silence_s >= lease_ttl_s
        if world.state == WorldState.DEAD.value:
            if holds:
                recover.append(world.id)
            elif silent or gone(world):
                forget.append(world.id)
        elif gone(world) or silence_s >= _ABANDONED_S or (silent and (world.executor or holds)):
            recover.append(world.id)
    return Verdict([*recover, *sorted(holders - registered)], forget)
