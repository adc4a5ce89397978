"""What a request fails with when there is nobody to do it."""

from __future__ import annotations

from dynflow_mp.errors import DynflowError, NobodyTakesEvents, NoExecutor, NotCancellable, UnprocessableEvent
from dynflow_mp.model.messages import CancelPlan, Event, HaltPlan, Request


def nobody_there(message: Request, waited_s: float) -> DynflowError:
    """Nobody was to be reached for so long."""
    plan_id = getattr(message, "plan_id", None)
    waited = f"{waited_s:g} s"
    if isinstance(message, CancelPlan):
        return NotCancellable(f"no executor that can be reached runs plan {plan_id}", plan_id)
    if isinstance(message, HaltPlan):
        return NoExecutor(
            f"the executor that has plan {plan_id} cannot be reached; tried for {waited}", plan_id
        )
    if isinstance(message, Event):
        return NobodyTakesEvents(
            f"no executor that can be reached runs plan {plan_id}; tried for {waited}", plan_id
        )
    return NoExecutor(
        f"no executor took plan {plan_id} within {waited}; it stays requested and runs when one comes",
        plan_id,
    )


def nobody_runs(message: Request, plan_id: str, state: str | None) -> DynflowError:
    """Nobody runs the plan, or is going to: it is in this state, or not stored (None)."""
    where = "not stored" if state is None else state
    if isinstance(message, CancelPlan):
        return NotCancellable(f"plan {plan_id} is {where}; nothing of it can be cancelled", plan_id)
    return UnprocessableEvent(
        f"could not find an executor: no executor runs plan {plan_id}, which is {where}", plan_id
    )
