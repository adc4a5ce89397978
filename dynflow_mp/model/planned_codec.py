"""A whole new plan as bytes: how a worker that planned one hands it to its supervisor.

Field by field, in the order of :class:`PlannedPlan`: enums as their texts, named tuples as lists. What is plain data
there needs nothing here.
"""

from __future__ import annotations

from typing import Any

import msgpack

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.flows import flow_from_tokens, flow_tokens
from dynflow_mp.model.plans import HistoryEntry, PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import Phase, PlanState, Result, StepState

_PHASES = {phase.value: phase for phase in Phase}
_PLAN_STATES = {state.value: state for state in PlanState}
_STEP_STATES = {state.value: state for state in StepState}
_RESULTS = {result.value: result for result in Result}


def plan_to_bytes(plan: PlannedPlan) -> bytes:
    """``plan`` as bytes, however large: ``max_payload`` is about what users put into it."""
    flows = {
        "run_flow": flow_tokens(plan.run_flow),
        "finalize_flow": flow_tokens(plan.finalize_flow),
    }
    fields = [flows.get(name, value) for name, value in zip(PlannedPlan._fields, plan, strict=True)]
    packed: bytes = msgpack.packb(fields)
    return packed


def plan_from_bytes(data: bytes) -> PlannedPlan:
    """The plan of :func:`plan_to_bytes`. Raises :class:`DamagedData` for other bytes."""
    try:
        plan = PlannedPlan(*msgpack.unpackb(data, use_list=False, strict_map_key=True))
        flows: Any = plan.run_flow, plan.finalize_flow
        return plan._replace(
            state=_PLAN_STATES[plan.state],
            result=_RESULTS[plan.result],
            run_flow=flow_from_tokens(list(flows[0])),
            finalize_flow=flow_from_tokens(list(flows[1])),
            actions=[PlannedAction(*action) for action in plan.actions],
            steps=[_step(step) for step in plan.steps],
            policies={name: ActionPolicy.from_data(list(policy)) for name, policy in plan.policies.items()},
            dependencies=list(plan.dependencies),
            history=tuple(HistoryEntry(*entry) for entry in plan.history),
        )
    except (TypeError, ValueError, LookupError, AttributeError, msgpack.UnpackException) as error:
        raise DamagedData(f"no plan: {error!r}") from error


def _step(fields: tuple[Any, ...]) -> PlannedStep:
    step_id, phase, state, *rest = fields
    return PlannedStep(step_id, _PHASES[phase], _STEP_STATES[state], *rest)
