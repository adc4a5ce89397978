"""Actions that can be asked to stop waiting.

    world.cancel(plan) ─▶ run(Cancel) ─▶ cancel()     world.cancel(plan, force=True) ─▶ run(Abort) ─▶ abort()

What ``cancel`` does decides what becomes of the step: to return is success, to raise is an error, to
suspend is to go on waiting (until what is being cancelled says that it is over).
"""

from __future__ import annotations

from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.next_run import next_run
from dynflow_mp.model.signals import Signal


class Cancellable(Action, abstract=True):
    """Takes Cancel and Abort; every other call goes to the next ``run``.

    So it stands before the class whose ``run`` does the work: ``class Install(Cancellable, Polling)``. An
    action that defines ``run`` itself hides this one, unless it calls ``super().run(event)``.
    """

    def run(self, event: Any = None) -> None:
        if event is Signal.CANCEL:
            self.cancel()
        elif event is Signal.ABORT:
            self.abort()
        else:
            next_run(super(), self, event)

    def cancel(self) -> None:
        """Stop what this step waits for. To be defined."""
        raise NotImplementedError(f"{type(self).__name__} is Cancellable and does not define cancel()")

    def abort(self) -> None:
        """Stop it at once; unless overridden as :meth:`cancel`."""
        self.cancel()
