"""What becomes of a plan that nobody runs: its executor has died, or it is halted where it lies."""

from __future__ import annotations

from dynflow_mp.director.failures import DEFAULT_CONDUCT, Conduct
from dynflow_mp.director.protocol import Asker, Instruction
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
    return RunningPlan.left_by_the_dead(skeleton, asker, conduct).abandoned(now)


def halt(skeleton: PlanSkeleton, world_id: str, now: int) -> list[Instruction]:
    """Writes that take a plan nobody runs and stop it, whatever its state, then whom to tell."""
    return RunningPlan(skeleton, Asker("", ""), world_id).halted_unowned(now)
