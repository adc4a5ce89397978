"""What all groups of a world's methods stand on: its parts, and whether it may still be asked for anything."""

from __future__ import annotations

import os

from dynflow_mp.config import Config
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import ForkedWorld, WorldTerminated
from dynflow_mp.model.audits import Audit
from dynflow_mp.reading.audits import noted
from dynflow_mp.reading.library import Library
from dynflow_mp.world.ending import Ending
from dynflow_mp.world.parts import Parts
from dynflow_mp.world.scheduling import Scheduling

ROOM_S = 30.0
"""How long who asks waits while too many requests are open."""


class Ground:
    """A world's parts. Each group of its public methods is a class above this one, and :class:`World` is all of them."""

    id: str
    config: Config
    coordinator: Coordinator
    persistence: Library
    _pid: int
    _ending: Ending
    _parts: Parts

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedWorld(
                f"world {self.id} lives in process {self._pid}; a forked child needs a world of its own"
            )

    def _check_alive(self) -> None:
        self._check_process()
        if self._ending.begun:
            raise WorldTerminated(f"world {self.id} is terminated")

    def _check_room(self) -> None:
        """Before something is stored and asked for, whose future would stay open for who knows how long."""
        self._check_alive()
        self._parts.client.wait_for_room(ROOM_S)
        self._check_alive()

    def _noted(self, by: str | None, plan_id: str | None, deed: str) -> Audit | None:
        """What is to be written down about a deed; nothing if nobody is named. Raises :class:`BadArgument`."""
        return noted(by, plan_id, deed, self.id)

    def _scheduling(self) -> Scheduling:
        self._check_alive()
        return Scheduling(
            self._parts.schedule,
            self.coordinator,
            self._parts.look_at_delayed,
            self.config.max_payload,
            self._parts.middleware.rules,
        )
