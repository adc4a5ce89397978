"""The same done to many plans in the calling thread: it is done when ``run`` returns, but for plans that wait for an event."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from dynflow_mp.world.bulk import BulkRun


class InThreadBulkRun(BulkRun):
    """A deed that goes on whenever a plan of it ends: to wait for that would be to wait for the caller."""

    _chosen = False
    _going_on = False

    def stop(self) -> None:
        """Begin nothing more; what was begun goes on."""
        super().stop()
        self._go_ahead()

    def _start(self) -> None:
        self._go_ahead()

    def _ended(self, plan_id: str, future: Future[Any]) -> None:
        super()._ended(plan_id, future)
        self._go_ahead()

    def _go_ahead(self) -> None:
        """As far as it goes just now. What ends while it is at it is heard by it."""
        if self._going_on or self.finished.done():
            return
        self._going_on = True
        try:
            left = self._is_left()
        finally:
            self._going_on = False
        if not left:
            self._finish()

    def _is_left(self) -> bool:
        try:
            if not self._chosen:
                self._choose()
                self._chosen = True
            while self._go_on():
                if self._ends.empty():
                    return True
                self._hear()
        except Exception as error:
            self._stumbled(error)
        return False
