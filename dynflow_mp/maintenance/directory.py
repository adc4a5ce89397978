"""Who can be reached: the connectors' view of the world records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from dynflow_mp.connectors.connector import Executor
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord, WorldState
from dynflow_mp.maintenance.processes_alive import gone


class WorldDirectory:
    """Reads the coordinator each time it is asked (it satisfies connectors' ``Directory``).

    ``transports``: how its user can reach others (what stands before ``://`` in their endpoints); None: any way.
    """

    def __init__(self, coordinator: Coordinator, transports: Collection[str] | None = None) -> None:
        self._coordinator, self._transports = coordinator, transports

    def executors(self) -> Sequence[Executor]:
        """Executors that take others' work and are not known to be dead."""
        found = []
        for record in self._coordinator.find_worlds(active_executors_only=True):
            endpoint = self._endpoint(record)
            if endpoint is not None and record.meta.get("takes_work"):
                found.append(Executor(record.id, endpoint, _free(record.meta.get("free"))))
        return found

    def endpoint(self, world_id: str) -> str | None:
        """Where this world listens, if it does and is not known to be dead."""
        for record in self._coordinator.find_worlds(id=world_id):
            return self._endpoint(record)
        return None

    def _endpoint(self, record: WorldRecord) -> str | None:
        endpoint = record.meta.get("endpoint")
        if not endpoint or record.state == WorldState.DEAD or gone(record):
            return None
        transport = str(endpoint).partition("://")[0]
        return str(endpoint) if self._transports is None or transport in self._transports else None


def _free(said: Any) -> dict[str, int]:
    """Free slots by queue; none where a record says something else."""
    if not isinstance(said, dict):
        return {}
    return {queue: slots for queue, slots in said.items() if type(slots) is int}
