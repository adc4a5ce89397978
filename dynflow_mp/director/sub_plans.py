"""What follows from a step's outcome for the sub-plans of its action.

new ones ─▶ StorePlan (with the outcome)  ─▶ StartSubPlans, of those that may be run
held back ─ their turn has come ─▶ RequestPlan ─▶ StartSubPlans
to be cancelled ─▶ EndSubPlans
"""

from __future__ import annotations

from dynflow_mp.director.instructions import EndSubPlans, Instruction, StartSubPlans
from dynflow_mp.model.sub_plans import NewSubPlan, Orders
from dynflow_mp.model.work import StepOutcome
from dynflow_mp.model.writes import RequestPlan, StorePlan


def follow(outcome: StepOutcome, plan_id: str, epoch: int, action_id: int, now: int) -> list[Instruction]:
    """Writes of the turn that stores the outcome, and what is to be done once it is stored."""
    instructions: list[Instruction] = []
    to_start: list[str] = []
    for data in outcome.plans:
        new = NewSubPlan.from_bytes(data)
        instructions.append(StorePlan(plan_id, epoch, new.plan, now if new.start else None))
        if new.start:
            to_start.append(new.id)
    orders = Orders() if outcome.orders is None else Orders.from_bytes(outcome.orders)
    instructions += [RequestPlan(plan_id, epoch, sub_plan_id, now) for sub_plan_id in orders.start]
    to_start += orders.start
    if to_start:
        instructions.append(StartSubPlans(plan_id, tuple(to_start)))
    if orders.end is not None:
        instructions.append(EndSubPlans(plan_id, action_id, outcome.step_id, orders.end))
    return instructions
