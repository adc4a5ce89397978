"""What becomes of a plan that nobody runs: its executor has died, or it is halted where it lies."""

from __future__ import annotations

from dynflow_mp.director.failures import DEFAULT_CONDUCT, Conduct
from dynflow_mp.director.instructions import Instruction
from dynflow_mp.director.protocol import Asker
from dynflow_mp.director.running_plan import RunningPlan
from dynflow_mp.model.plans import PlanSkeleton


def settle(
    skeleton: PlanSkeleton,
    asker: Asker,
    now: int,
    conduct: Conduct = DEFAULT_CONDUCT,
) -> list[Instruction]:
    """Writes for the plan as its dead owner left it, then whom to tell or to ask; ``now`` microseconds UTC.

    Whether a step that was running took effect nobody knows: it becomes an error, and the plan waits
    for someone to decide. Without such a step, and without an older error, the plan goes on; also where
    such steps are idempotent, or all failed ones are to be skipped.
    """
    return _LeftPlan.by_the_dead(skeleton, asker, conduct).abandoned(now)


def halt(skeleton: PlanSkeleton, world_id: str, now: int) -> list[Instruction]:
    """Writes that take a plan nobody runs and stop it, whatever its state, then whom to tell."""
    return _LeftPlan(skeleton, Asker("", ""), world_id).halted_unowned(now)


class _LeftPlan(RunningPlan):
    """A plan whose owner does not run it any more, or that has none: it is not begun, only ended."""

    __slots__ = ()

    @classmethod
    def by_the_dead(cls, skeleton: PlanSkeleton, asker: Asker, conduct: Conduct) -> _LeftPlan:
        """The plan as its owner left it, at the epoch the owner had."""
        return cls(skeleton, asker, skeleton.owner_id or "", conduct, skeleton.lock_epoch)

    def abandoned(self, now: int) -> list[Instruction]:
        """Its executor died: steps that were running are errors, the rest is handed over."""
        instructions, failed = self._failures.interrupted(now)
        for step_id in failed:
            instructions += self._events.drop(step_id)
        return [*instructions, *self.handed_over(now)]

    def halted_unowned(self, now: int) -> list[Instruction]:
        """Nobody runs the plan: take it and stop it, at once."""
        return [self._tenure.claim(self.asker, self._skeleton.started_at), *self.halted(now)]
