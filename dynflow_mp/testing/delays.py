"""Scheduled plans in an in-thread world: the delayed executor without its thread, looking when there is something to see."""

from __future__ import annotations

from collections.abc import Callable

from dynflow_mp.clock import monotonic, now_us
from dynflow_mp.errors import WorldFenced
from dynflow_mp.maintenance.delayed_executor import DelayedExecutor
from dynflow_mp.maintenance.late_planning import LatePlanning
from dynflow_mp.model.messages import Envelope
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.testing.clock import Ping
from dynflow_mp.testing.core import InThreadCore

_NEVER_S = 1e12
"""What a round answers when nothing is scheduled: its poll, which nobody needs who is told of everything."""


class InThreadDelays(DelayedExecutor):
    """Has the plans of one executor's schedule planned when the world's clock says so."""

    def __init__(
        self,
        schedule: Schedule,
        core: InThreadCore,
        ask: Callable[[Envelope], None],
        fenced: Callable[[WorldFenced], None],
        most: int,
    ) -> None:
        super().__init__(
            schedule,
            core.coordinator,
            lambda wake: LatePlanning(schedule, core.coordinator, core.run_errand, wake, most),
            ask,
            fenced,
            lambda: True,
            poll_s=_NEVER_S,
        )
        self.next_due: float | None = None
        """When the next plan's time comes (steady clock); None if none waits."""
        self.look()

    def start(self) -> None:
        """There is no thread to start."""

    @property
    def pending(self) -> bool:
        """Whether there may be something to do now."""
        return self._wake.is_set() or (self.next_due is not None and self.next_due <= monotonic())

    @property
    def pings(self) -> list[Ping]:
        return [] if self.next_due is None else [Ping(self.next_due, "scheduled plans")]

    def go_on(self) -> None:
        """Look once."""
        self._wake.clear()
        wait_s = self.round(now_us())
        self.next_due = None if wait_s >= _NEVER_S else monotonic() + wait_s

    def close(self) -> None:
        """What is being planned waits again, and another world may lead."""
        self._safely(self._planning.end)
        self._safely(self._leadership.let_go)
