"""Who can be reached: the connectors' view of the world records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynflow_mp.connectors.connector import Executor
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord, WorldState
from dynflow_mp.maintenance.processes_alive import gone

CURVE_KEY = "curve_key"
"""Where a world's record holds its public key."""


class WorldDirectory:
    """Reads the coordinator each time it is asked (it satisfies connectors' ``Directory``).

    ``transports``: how its user can reach others (what stands before ``://`` in their endpoints); None: any way.
    With a file of ``trusted`` keys, worlds whose keys are not in it have none.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        transports: Collection[str] | None = None,
        trusted: Path | None = None,
    ) -> None:
        self._coordinator, self._transports, self._trusted = coordinator, transports, trusted

    def executors(self) -> Sequence[Executor]:
        """Executors that take others' work and are not known to be dead."""
        found, trusted = [], self._trusted_keys()
        for record in self._coordinator.find_worlds(active_executors_only=True):
            endpoint = self._endpoint(record)
            if endpoint is not None and record.meta.get("takes_work"):
                key = _key(record, trusted)
                found.append(Executor(record.id, endpoint, _free(record.meta.get("free")), key))
        return found

    def endpoint(self, world_id: str) -> str | None:
        """Where this world listens, if it does and is not known to be dead."""
        for record in self._coordinator.find_worlds(id=world_id):
            return self._endpoint(record)
        return None

    def keys(self) -> Mapping[str, str]:
        """The public keys of the worlds that are not dead. Raises ConfigError for a damaged file of trusted ones."""
        trusted = self._trusted_keys()
        found = {
            record.id: _key(record, trusted)
            for record in self._coordinator.find_worlds()
            if record.state != WorldState.DEAD.value
        }
        return {world_id: key for world_id, key in found.items() if key is not None}

    def _trusted_keys(self) -> frozenset[str] | None:
        if self._trusted is None:
            return None
        from dynflow_mp.connectors.keys import trusted_keys  # it brings ZeroMQ, which not all worlds load

        return trusted_keys(self._trusted)

    def _endpoint(self, record: WorldRecord) -> str | None:
        endpoint = record.meta.get("endpoint")
        if not endpoint or record.state == WorldState.DEAD or gone(record):
            return None
        transport = str(endpoint).partition("://")[0]
        return str(endpoint) if self._transports is None or transport in self._transports else None


def _key(record: WorldRecord, trusted: frozenset[str] | None) -> str | None:
    key = record.meta.get(CURVE_KEY)
    return key if isinstance(key, str) and (trusted is None or key in trusted) else None


def _free(said: Any) -> dict[str, int]:
    """Free slots by queue; none where a record says something else."""
    if not isinstance(said, dict):
        return {}
    return {queue: slots for queue, slots in said.items() if type(slots) is int}
