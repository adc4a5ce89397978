"""Ending the sub-plans of an action that was cancelled or of a plan that was halted, beside the core: there may be thousands.

EndSubPlans ─▶ those never begun: stopped, some hundred at a time ─▶ the action is told
            └▶ those that run: Cancel or Abort to whoever runs each
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock

from dynflow_mp.director.instructions import EndSubPlans
from dynflow_mp.errors import NotCancellable, RequestError, SubPlanCancelled
from dynflow_mp.maintenance.background import Background
from dynflow_mp.model.stops import name_of
from dynflow_mp.model.sub_plans import Ending
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.store import Store
from dynflow_mp.telemetry import logger

log = logger("maintenance.sub_plan_endings")

_REASONS = {
    Ending.HELD_BACK: "The task could not be started within the maintenance window.",
    Ending.CANCEL: "The task was cancelled.",
    Ending.ABORT: "The task was aborted.",
}
Cancel = Callable[[str, bool], "Future[list[int]]"]
Tell = Callable[[str, int], object]


class SubPlanEndings(Background):
    """Owns a thread, from the first order on. ``tell`` hints to a step that something became of its sub-plans."""

    def __init__(self, store: Store, fence: Fence, cancel: Cancel, tell: Tell) -> None:
        super().__init__("sub-plan endings")
        self._store, self._fence, self._cancel, self._tell = store, fence, cancel, tell
        self._orders: SimpleQueue[EndSubPlans | None] = SimpleQueue()
        self._guard = Lock()

    def carry_out(self, order: EndSubPlans) -> None:
        """Any thread: do it, soon. An order that is lost with this process is given again by the action."""
        self._orders.put(order)
        with self._guard:
            if self._thread.ident is None:
                self._begin()

    def _begin(self) -> None:
        try:
            self.start()
        except (
            RuntimeError
        ) as error:  # the process has no room for a thread: who gives the next order tries again
            log.error("sub-plans wait for a thread: %s", error, extra={"action": "no_thread"})

    def _interrupt(self) -> None:
        self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            try:
                self.end(order)
            except Exception:
                log.exception(
                    "sub-plans could not be ended",
                    extra={"action": "sub_plans_not_ended", "plan_id": order.plan_id},
                )

    def end(self, order: EndSubPlans) -> None:
        """End them here and now. Done by the thread, and by worlds without one."""
        plan_id, action_id, how = order.plan_id, order.action_id, order.how
        reason = (
            _REASONS[how] if action_id is not None else f"Plan {plan_id}, which held it back, was halted."
        )
        error = ErrorRecord(name_of(SubPlanCancelled), reason, cause="cancelled").to_bytes()
        # In this order: what is taken up in between runs, and is told.
        ended = self._store.end_never_begun(plan_id, action_id, how is Ending.HELD_BACK, error, self._fence)
        if how is not Ending.HELD_BACK and action_id is not None:
            for sub_plan_id in self._store.running_sub_plans(plan_id, action_id):
                self._cancel(sub_plan_id, how is Ending.ABORT).add_done_callback(_note)
        if ended and order.step_id is not None:
            self._tell(plan_id, order.step_id)


def _note(told: Future[list[int]]) -> None:
    error = told.exception()
    if error is not None and not isinstance(error, (NotCancellable, RequestError)):
        log.warning("a sub-plan was not cancelled: %s", error, extra={"action": "sub_plan_not_cancelled"})
