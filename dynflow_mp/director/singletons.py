"""The singleton classes of one plan: which locks its claim takes, and which of its steps may not run."""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.step_book import StepBook
from dynflow_mp.errors import AlreadyActive
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.stops import name_of
from dynflow_mp.model.work import ErrorRecord


class Singletons:
    """Owned by its running plan."""

    __slots__ = ("_book", "any", "blocked", "to_take")

    def __init__(self, skeleton: PlanSkeleton, book: StepBook) -> None:
        self._book = book
        classes = [name for name, policy in skeleton.policies.items() if policy.singleton]
        self.any = bool(classes)
        """Whether the plan may hold locks."""
        self.blocked = skeleton.taken
        """Classes of which another plan is active."""
        left = self._left() if classes else set()
        self.to_take = tuple(name for name in classes if name in left and name not in self.blocked)

    def _left(self) -> set[str]:
        """The classes that have steps still to be run."""
        book = self._book
        return {
            book.steps.kind(step_id).action_class
            for step_id in (*book.run_steps, *book.finalize_steps)
            if not book.passed(step_id)
        }

    def blocked_among(self, step_ids: Iterable[int]) -> list[int]:
        """Those of these steps that may not run."""
        return [step_id for step_id in step_ids if self.is_blocked(step_id)] if self.blocked else []

    def is_blocked(self, step_id: int) -> bool:
        """Whether a step belongs to a class of which another plan is active."""
        return self._book.steps.kind(step_id).action_class in self.blocked

    def first_blocked(self, step_ids: Iterable[int]) -> int | None:
        """The place of the first such step among these."""
        if not self.blocked:
            return None
        return next((place for place, step_id in enumerate(step_ids) if self.is_blocked(step_id)), None)

    def error(self, step_id: int) -> ErrorRecord:
        """Why such a step failed."""
        return ErrorRecord(
            name_of(AlreadyActive), str(AlreadyActive(self._book.steps.kind(step_id).action_class))
        )
