"""The time by which a plan is to have ended: what then runs is stopped, what waits is refused."""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.causes import recorded
from dynflow_mp.director.cursor import FlowCursor
from dynflow_mp.director.events import EventBox
from dynflow_mp.director.instructions import Instruction, RemindAt, StopStep
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.director.stimuli import DeadlineDue
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.stops import DEADLINE
from dynflow_mp.model.work import ErrorRecord


class Deadline:
    """Owned by its running plan, as are the book and the box."""

    __slots__ = ("_at", "_book", "_box", "_plan_id")

    def __init__(self, skeleton: PlanSkeleton, book: StepBook, box: EventBox) -> None:
        self._plan_id, self._at = skeleton.id, skeleton.deadline_at
        self._book, self._box = book, box

    def passed(self, now: int) -> bool:
        """Whether there is one, and it lies behind us."""
        return self._at is not None and self._at <= now

    def reminder(self, now: int) -> list[Instruction]:
        """For a plan that is taken up."""
        if self._at is None or self._at <= now:
            return []
        return [RemindAt(self._at, self._plan_id, DeadlineDue(self._plan_id))]

    def stop(self, step_id: int) -> StopStep:
        """For a step (or FINALIZE) that is with a worker."""
        return StopStep(self._plan_id, step_id, DEADLINE, self._message())

    def refuse(self, step_ids: Iterable[int], cursor: FlowCursor, now: int) -> list[Instruction]:
        """Those of these steps that wait for anything do so no longer."""
        instructions: list[Instruction] = []
        for step_id in step_ids:
            if self._book.waits(step_id):
                instructions += [self._book.fail(step_id, self.error(), now), *self._box.drop(step_id)]
                cursor.finish(step_id, False)
        return instructions

    def error(self) -> ErrorRecord:
        """Of what came too late."""
        return recorded(DEADLINE, self._message())

    def _message(self) -> str:
        return f"the deadline of plan {self._plan_id} has passed"
