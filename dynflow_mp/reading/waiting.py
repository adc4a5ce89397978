"""Why does it not go on? An answer for every plan that nobody runs and every step that waits, with since when.

plan   scheduled ─▶ frozen | due | prerequisite | slot, executor      planned, paused ─▶ resume | slot, queue, executor
       running, by nobody who lives ─▶ lock, executor
step   in a running plan: step | retry | slot, queue | event | sub_plans | due | resume      in any other: as its plan
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.reading.wait import Wait, WaitKind
from dynflow_mp.reading.wait_facts import WaitFacts
from dynflow_mp.reading.waiting_plans import plan_waits
from dynflow_mp.reading.waiting_steps import step_waits

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan

__all__ = ["GOING_ON", "Wait", "WaitFacts", "WaitKind", "waits"]

GOING_ON = (StepState.RUNNING, StepState.SUCCESS, StepState.SKIPPED, StepState.CANCELLED)
"""Steps in these states wait for nothing."""


def waits(plan: ExecutionPlan, facts: WaitFacts) -> list[Wait]:
    """What the plan and each waiting step of it wait for: the whole plan first, then by step id.

    Raises :class:`~dynflow_mp.errors.InvalidPlan` for a plan that cannot be read.
    """
    if plan.state is PlanState.STOPPED:
        return []
    waiting = [step for step in plan.steps.values() if step.state not in GOING_ON]
    owner = facts.living(plan.owner_id)
    if plan.state is PlanState.RUNNING and owner is not None:
        found = step_waits(plan, waiting, owner, facts)
        return [*_whole(plan, found), *found]
    whole = plan_waits(plan, facts)
    first = whole[0]
    return whole + [
        Wait(step.id, first.kind, f"waits with its plan, which {first.sentence}", first.since)
        for step in waiting
    ]


def _whole(plan: ExecutionPlan, found: list[Wait]) -> list[Wait]:
    """A running plan of which no step runs waits for what the first of its steps waits for.

    A step that has failed waits for the others itself: until nothing of the plan can go on, nobody can resume it.
    """
    if any(step.state is StepState.RUNNING for step in plan.steps.values()):
        return []
    ahead = [wait for wait in found if wait.kind is not WaitKind.STEP]
    return [
        wait._replace(step_id=None, sentence=f"runs none of its steps: step {wait.step_id} {wait.sentence}")
        for wait in sorted(ahead, key=lambda wait: wait.kind is WaitKind.RESUME)[:1]
    ]
