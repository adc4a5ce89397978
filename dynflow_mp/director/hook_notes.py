"""The hooks of one plan: noted with each change of its state that any class of its actions asks for."""

from __future__ import annotations

from dynflow_mp.model.hooks import CALLS_AN_EPOCH, kinds_of, wanted
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.writes import NoteHooks


class HookNotes:
    """Owned by its running plan."""

    __slots__ = ("_epoch", "_plan_id", "_policies", "any", "halted")

    def __init__(self, skeleton: PlanSkeleton, epoch: int) -> None:
        self._plan_id, self._epoch, self._policies = skeleton.id, epoch, skeleton.policies
        self.any = any(policy.hooks for policy in skeleton.policies.values())
        """Whether there are hooks at all."""
        self.halted = False
        """Whether the plan is only halted: then it has neither failed nor succeeded (W14)."""

    def note(self, state: PlanState, result: Result, now: int) -> list[NoteHooks]:
        """What is to be noted in the turn that stores this change."""
        # Known by what it is about, not counted: who ends the plan may not be who began it.
        number = self._epoch * CALLS_AN_EPOCH + (0 if state is PlanState.RUNNING else 1)
        kinds = wanted(self._policies, kinds_of(state, result, self.halted))
        if not kinds:
            return []
        return [NoteHooks(self._plan_id, self._epoch, number, tuple(kinds), state, result, now)]
