"""What one plan is made of while it is run: its steps, flow and events, and who decides what about them."""

from __future__ import annotations

from dynflow_mp.director.cursor import FlowCursor
from dynflow_mp.director.deadline import Deadline
from dynflow_mp.director.deliveries import Deliveries
from dynflow_mp.director.events import EventBox
from dynflow_mp.director.failures import DEFAULT_CONDUCT, Conduct, Failures
from dynflow_mp.director.finalize_phase import FinalizePhase
from dynflow_mp.director.halting import Halting
from dynflow_mp.director.protocol import Asker
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.director.tenure import Tenure
from dynflow_mp.model.plans import Caller, PlanSkeleton


class PlanParts:
    """The parts of one running plan, made for each other; :class:`~dynflow_mp.director.running_plan.RunningPlan` uses them."""

    __slots__ = (
        "_book",
        "_cursor",
        "_deadline",
        "_epoch",
        "_events",
        "_failures",
        "_finalize",
        "_halting",
        "_singletons",
        "_skeleton",
        "_steps",
        "_tenure",
        "asker",
        "deliveries",
        "ended",
        "id",
    )

    def __init__(
        self,
        skeleton: PlanSkeleton,
        asker: Asker,
        world_id: str,
        conduct: Conduct = DEFAULT_CONDUCT,
        epoch: int | None = None,
    ) -> None:
        self.id = skeleton.id
        self.ended = False
        self.asker = asker
        """Who is told how this attempt ends."""
        self._skeleton = skeleton
        self._epoch = skeleton.lock_epoch + 1 if epoch is None else epoch
        self._book = StepBook(skeleton, self._epoch)
        self._steps = self._book.steps
        self._failures = Failures(skeleton, self._book, conduct, self._epoch)
        self._tenure = Tenure(skeleton, self._book, world_id, self._epoch)
        self._singletons = self._tenure.singletons
        self._cursor = self._fresh_cursor()
        self._finalize = FinalizePhase(self._book)
        self._events = EventBox(self.id, self._epoch, skeleton.events)
        self.deliveries = Deliveries(self.id, self._book, self._events, world_id)
        """How events get to its steps."""
        self._deadline = Deadline(skeleton, self._book, self._events)
        self._halting: Halting | None = None

    @property
    def caller(self) -> Caller | None:
        """The action of which this is a sub-plan."""
        return self._skeleton.caller

    def _fresh_cursor(self) -> FlowCursor:
        highest = max(self._book.run_steps, default=0)
        return FlowCursor(self._skeleton.run_flow, highest, self._book.passed)
