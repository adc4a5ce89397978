"""One executor's time with a plan, in writing: the claim it begins with, its history, the row it ends with."""

from __future__ import annotations

from dynflow_mp.director.hook_notes import HookNotes
from dynflow_mp.director.instructions import Answer, DropPlan, HandOver, Instruction
from dynflow_mp.director.protocol import Asker
from dynflow_mp.director.singletons import Singletons
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.model.messages import Done
from dynflow_mp.model.plans import HistoryEntry, PlanSkeleton
from dynflow_mp.model.states import UNPLANNED, PlanState, Result, check_plan_move, result_of
from dynflow_mp.model.writes import ClaimPlan, SavePlan

_MICRO = 1_000_000


class Tenure:
    """Owned by its running plan, as is the book."""

    __slots__ = ("_book", "_epoch", "_history", "_hooks", "_id", "_skeleton", "_world_id", "singletons")

    def __init__(self, skeleton: PlanSkeleton, book: StepBook, world_id: str, epoch: int) -> None:
        self._id, self._skeleton, self._book = skeleton.id, skeleton, book
        self._world_id, self._epoch = world_id, epoch
        self._history = skeleton.history
        self._hooks = HookNotes(skeleton, epoch)
        self.singletons = Singletons(skeleton, book)
        """The locks that are taken with the claim and freed with the end."""

    def note(self, name: str, now: int) -> None:
        """One more line of the plan's history; stored with the claim or the end, whichever comes next."""
        self._history = (*self._history, HistoryEntry(now, name, self._world_id))

    def claim(self, asker: Asker, started_at: int | None, singletons: tuple[str, ...] = ()) -> ClaimPlan:
        """Take the plan."""
        return ClaimPlan(
            self._id,
            self._world_id,
            self._skeleton.lock_epoch,
            self._history,
            started_at,
            asker.client_id,
            asker.request_id,
            singletons,
        )

    def begun(self, now: int) -> list[Instruction]:
        """Whom the plan's running concerns."""
        return [*self._hooks.note(PlanState.RUNNING, Result.PENDING, now)] if self._hooks.any else []

    def halted(self) -> None:
        """What ends now has neither failed nor succeeded."""
        self._hooks.halted = True

    def end(self, state: PlanState, asker: Asker, now: int, name: str = "") -> list[Instruction]:
        """The plan stops or pauses, and who asked is told."""
        self.note(name or ("pause execution" if state is PlanState.PAUSED else "finish execution"), now)
        return [
            *self._close(state, now, keep_requested=False),
            Answer(*asker, Done(), self._id),
            DropPlan(self._id),
        ]

    def leave(self, asker: Asker, now: int, failed: bool, successor_may_run: bool) -> list[Instruction]:
        """This executor ends: the plan is paused and, unless a step of it has ``failed``, still requested."""
        ending = self._close(PlanState.PAUSED, now, keep_requested=not failed)
        if failed or not successor_may_run:
            return [*ending, Answer(*asker, Done(), self._id), DropPlan(self._id)]
        return [*ending, HandOver(self._id, *asker), DropPlan(self._id)]

    def _result(self) -> Result:
        """What its steps have come to. One that was never planned has a plan step that waits, which no book keeps."""
        if self._skeleton.state in UNPLANNED:
            return Result.PENDING
        return result_of(self._book.states())

    def _close(self, state: PlanState, now: int, keep_requested: bool) -> list[Instruction]:
        check_plan_move(self._id, PlanState.RUNNING, state)
        stopped = state is PlanState.STOPPED
        started_at = self._skeleton.started_at or now
        result = self._result()
        instructions: list[Instruction] = [
            SavePlan(
                self._id,
                self._epoch,
                state,
                result,
                self._history,
                now if stopped else None,
                self._book.execution_time if stopped else 0.0,
                (now - started_at) / _MICRO if stopped else 0.0,
                keep_requested=keep_requested,
                frees_locks=self.singletons.any and not keep_requested,
                frees_key=stopped and self._skeleton.unique_key is not None,
            )
        ]
        if self._hooks.any and not keep_requested:  # who hands a plan over has not paused it for anybody
            instructions += self._hooks.note(state, result, now)
        return instructions
