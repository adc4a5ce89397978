"""Who can be reached: the connectors' view of the world records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynflow_mp.connectors.connector import Executor
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.maintenance.processes_alive import gone


class WorldDirectory:
    """Reads the coordinator each time it is asked (it satisfies connectors' ``Directory``)."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def executors(self) -> Sequence[Executor]:
        """Executors that take others' work and are not known to be dead."""
        return [
            Executor(record.id, str(record.meta["endpoint"]), _free(record.meta.get("free")))
            for record in self._coordinator.find_worlds(active_executors_only=True)
            if record.meta.get("takes_work") and record.meta.get("endpoint") and not gone(record)
        ]

    def endpoint(self, world_id: str) -> str | None:
        """Where this world listens, if it does and is not known to be dead."""
        for record in self._coordinator.find_worlds(id=world_id):
            endpoint = record.meta.get("endpoint")
            return str(endpoint) if endpoint and not gone(record) else None
        return None


def _free(said: Any) -> dict[str, int]:
    """Free slots by queue; none where a record says something else."""
    if not isinstance(said, dict):
        return {}
    return {queue: slots for queue, slots in said.items() if type(slots) is int}
