"""A world's lease: renewed while its core turns, so that others can tell it from a dead one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PersistenceError, WorldFenced
from dynflow_mp.maintenance.background import Background
from dynflow_mp.telemetry import logger

log = logger("maintenance.liveness")


class Liveness(Background):
    """Owns a thread that renews this world's lease every ``interval_s`` seconds.

    ``healthy`` says whether the core has turned recently: a world whose core hangs must look dead.
    ``meta`` is what the record says from then on; ``fenced`` is called once when another world has
    declared this one dead.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        interval_s: float,
        healthy: Callable[[], bool],
        meta: Callable[[], Mapping[str, Any]],
        fenced: Callable[[WorldFenced], None],
    ) -> None:
        super().__init__("liveness")
        self._coordinator = coordinator
        self._interval_s = interval_s
        self._healthy, self._meta, self._fenced = healthy, meta, fenced
        self._hurry = Event()

    def renew_at_once(self) -> None:
        """What the record says has changed. Any thread may call it."""
        self._hurry.set()

    def _interrupt(self) -> None:
        self._hurry.set()

    def _is_time(self) -> bool:
        """Wait until it is; False at the end."""
        self._hurry.wait(self._interval_s)
        self._hurry.clear()
        return not self._stopping.is_set()

    def _run(self) -> None:
        while self._is_time():
            if not self._healthy():
                log.error("the core does not turn; not renewing", extra={"action": "lease_withheld"})
                continue
            try:
                self._coordinator.renew_lease(self._meta())
            except WorldFenced as error:
                self._fenced(error)
                return
            except PersistenceError as error:
                log.warning("lease not renewed", extra={"action": "lease_retry"}, exc_info=error)
