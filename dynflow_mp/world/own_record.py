"""This world's own row in the register of worlds: what others know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynflow_mp.config import Config
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.maintenance.directory import CURVE_KEY
from dynflow_mp.maintenance.processes_alive import own_traces


class OwnRecord:
    """``advertised`` says what an executor has to offer just now; nothing, where there is no core."""

    def __init__(
        self,
        coordinator: Coordinator,
        config: Config,
        advertised: Callable[[], Mapping[str, Any]],
        public_key: str | None = None,
    ) -> None:
        self._coordinator, self._config, self._advertised = coordinator, config, advertised
        self._public_key = public_key

    def register(self) -> None:
        """The record exists before the first write: it is what the fence looks at."""
        self._coordinator.register_world(
            WorldRecord(
                self._coordinator.world_id,
                executor=bool(self._config.pools),
                state="alive",
                meta=self.meta(),
            )
        )

    def mark_draining(self) -> None:
        """No new work from now on."""
        self._coordinator.set_world_state(self._coordinator.world_id, "draining")

    def delete(self) -> None:
        """The world is over."""
        self._coordinator.delete_world(self._coordinator.world_id)

    def meta(self) -> dict[str, Any]:
        """What the record says: the process, so that others can tell whether it is gone, and what is offered."""
        meta: dict[str, Any] = {**self._config.meta, "process": own_traces()}
        if self._public_key is not None:
            meta[CURVE_KEY] = self._public_key
        if self._config.pools:
            meta["queues"] = self._config.pools
        return {**meta, **self._advertised()}
