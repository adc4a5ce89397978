"""A plan that is being halted: nothing new of it begins, what runs is stopped, then it is stopped for good.

    halt ─▶ what waits is dropped, StopStep for what runs ─▶ (each has ended) ─▶ stopped, everyone told

Steps stay as they are: pending and suspended ones remain visible, those that ran are errors with the cause
"halted", unless their outcome made it in time.
"""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.instructions import Answer, StopStep
from dynflow_mp.director.protocol import FINALIZE, Asker
from dynflow_mp.model.messages import Done
from dynflow_mp.model.stops import HALTED


class Halting:
    """Who wants the plan halted, and what of it still runs. Owned by its running plan."""

    __slots__ = ("_askers", "_left", "_plan_id")

    def __init__(self, plan_id: str, running: Iterable[int]) -> None:
        self._plan_id = plan_id
        self._askers: dict[Asker, None] = {}
        self._left = set(running)

    def asked_by(self, asker: Asker) -> None:
        """One more who is to be told; the same one again is told once."""
        self._askers[asker] = None

    @property
    def over(self) -> bool:
        """Whether nothing of the plan runs any more."""
        return not self._left

    def ended(self, step_id: int) -> None:
        """A step (or FINALIZE) that ran does not any more."""
        self._left.discard(step_id)

    def stops(self) -> list[StopStep]:
        """For everything that runs."""
        return [StopStep(self._plan_id, step_id, HALTED, self._message(step_id)) for step_id in self._left]

    def _message(self, step_id: int) -> str:
        what = "finalize" if step_id == FINALIZE else f"step {step_id}"
        return f"plan {self._plan_id} was halted while {what} ran"

    def answers(self) -> list[Answer]:
        """It is stopped."""
        return [Answer(*asker, Done(), self._plan_id) for asker in self._askers]
