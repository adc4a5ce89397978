"""Envelopes in the database that nobody will take: their receivers are over, or they are very old."""

from __future__ import annotations

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldState
from dynflow_mp.persistence.envelopes import EnvelopeStore
from dynflow_mp.telemetry import logger

log = logger("maintenance.dead_letters")

_OLD_US = 3600 * 1_000_000
"""Whoever posted it has withdrawn it long before, unless it died; clocks of hosts may differ by less than that."""


class DeadLetters:
    """Any thread may call it. Who sent what is removed needs no word: it looks after what it sends itself."""

    def __init__(self, envelopes: EnvelopeStore, coordinator: Coordinator) -> None:
        self._envelopes, self._coordinator = envelopes, coordinator

    def clear(self) -> int:
        """Remove them; how many there were. May raise PersistenceError."""
        # In this order: a world that registers in between has nothing waiting among what was read before.
        receivers = self._envelopes.receivers()
        if not receivers:
            return 0
        worlds = self._coordinator.find_worlds()
        over = receivers.keys() - {world.id for world in worlds if world.state != WorldState.DEAD}
        removed = self._envelopes.drop_for(over) if over else 0
        long_ago = now_us() - _OLD_US
        if min(receivers.values()) < long_ago:
            removed += self._envelopes.drop_before(long_ago)
        if removed:
            log.info("%d envelopes that nobody took were removed", removed, extra={"action": "dead_letters"})
        return removed
