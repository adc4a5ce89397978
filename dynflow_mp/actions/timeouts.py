"""Setting oneself a time limit while waiting: for actions that suspend.

    self.schedule_timeout(30) ─▶ (30 s) ─▶ run(Timeout) ─▶ process_timeout()

The limit is an event like any other: stored before the step is, so it survives a restart; and gone with
the step, should that end first.
"""

from __future__ import annotations

from dynflow_mp.actions.action import Action
from dynflow_mp.errors import TimeoutExceeded
from dynflow_mp.model.signals import Signal


class Timeouts(Action, abstract=True):
    """Part of :class:`Polling`; alone for actions whose own ``run`` calls :meth:`process_timeout` on ``Timeout``."""

    def schedule_timeout(self, seconds: float, optional: bool = True) -> None:
        """Have ``run`` called with :data:`Timeout` in so many seconds from the end of this call."""
        self.plan_event(Signal.TIMEOUT, seconds, optional)

    def process_timeout(self) -> None:
        """What to do when the time is over. Unless overridden the step fails with :class:`TimeoutExceeded`."""
        raise TimeoutExceeded("Timeout exceeded.")
