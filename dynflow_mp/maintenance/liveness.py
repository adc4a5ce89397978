"""A world's lease: renewed while its core turns, so that others can tell it from a dead one.

b: now ─▶ renewed, committed ─▶ ``renewed(b)``: its steps may go on for the TTL, counted from b
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from dynflow_mp.clock import steady
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PersistenceError, WorldFenced
from dynflow_mp.maintenance.background import Background
from dynflow_mp.telemetry import logger

log = logger("maintenance.liveness")

_AGAIN_S = 1.0
"""After a renewal that failed: each second of an outage counts."""


class Liveness(Background):
    """Owns a thread that renews this world's lease every ``interval_s`` seconds.

    ``healthy`` says whether the core has turned recently: a world whose core hangs must look dead.
    ``meta`` is what the record says from then on; ``renewed`` is told when a renewal that is stored was begun;
    ``fenced`` is called once when another world has declared this one dead.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        interval_s: float,
        healthy: Callable[[], bool],
        meta: Callable[[], Mapping[str, Any]],
        fenced: Callable[[WorldFenced], None],
        renewed: Callable[[float], None] = lambda begun: None,
    ) -> None:
        super().__init__("liveness")
        self._coordinator = coordinator
        self._interval_s = interval_s
        self._healthy, self._meta, self._fenced = healthy, meta, fenced
        self._renewed = renewed
        self._hurry = Event()

    def renew(self) -> None:
        """Renew it once. Raises :class:`WorldFenced`, :class:`PersistenceError`."""
        begun = steady()
        self._coordinator.renew_lease(self._meta())
        self._renewed(begun)

    def renew_at_once(self) -> None:
        """What the record says has changed. Any thread may call it."""
        self._hurry.set()

    def _interrupt(self) -> None:
        self._hurry.set()

    def _is_time(self, wait_s: float) -> bool:
        """Wait until it is; False at the end."""
        self._hurry.wait(wait_s)
        self._hurry.clear()
        return not self._stopping.is_set()

    def _run(self) -> None:
        wait_s = self._interval_s
        while self._is_time(wait_s):
            wait_s = self._interval_s
            try:
                if not self._healthy():
                    log.error("the core does not turn; not renewing", extra={"action": "lease_withheld"})
                    continue
                self.renew()
            except WorldFenced as error:
                self._fenced(error)
                return
            except Exception as error:
                # Whatever it was, the next one may go better: without this thread a world that lives would look dead.
                wait_s = min(self._interval_s, _AGAIN_S)
                level = logging.WARNING if isinstance(error, PersistenceError) else logging.ERROR
                log.log(level, "lease not renewed", extra={"action": "lease_retry"}, exc_info=error)
