"""A whole new plan as bytes: how a worker that planned one hands it to its supervisor.

Field by field, in the order of :class:`PlannedPlan`: what is plain data there needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.flows import flow_from_tokens, flow_tokens
from dynflow_mp.model.plans import (
    PlannedAction,
    PlannedPlan,
    PlannedStep,
    history_from_data,
    history_to_data,
)
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import Phase, PlanState, Result, StepState

_NO_LIMIT = 2**40
"""A plan is as large as it is; ``max_payload`` is about what users put into it."""


def encode_plan(plan: PlannedPlan) -> bytes:
    """``plan`` as bytes."""
    fields = [
        _WRITERS[name](value) if name in _WRITERS else value
        for name, value in zip(PlannedPlan._fields, plan, strict=True)
    ]
    return encode(fields, "plan", _NO_LIMIT)


def decode_plan(data: bytes) -> PlannedPlan:
    """The plan of :func:`encode_plan`. Raises :class:`DamagedData` for other bytes."""
    fields = decode(data)
    try:
        if len(fields) != len(PlannedPlan._fields):
            raise ValueError(f"it has {len(fields)} fields")
        named = zip(PlannedPlan._fields, fields, strict=True)
        return PlannedPlan(*[_READERS[name](value) if name in _READERS else value for name, value in named])
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise DamagedData(f"no plan: {error}") from error


def _policies_to_data(policies: dict[str, ActionPolicy]) -> dict[str, list[Any]]:
    return {name: policy.to_data() for name, policy in policies.items()}


def _policies_from_data(data: dict[str, list[Any]]) -> dict[str, ActionPolicy]:
    return {name: ActionPolicy.from_data(fields) for name, fields in data.items()}


def _step_from_data(fields: list[Any]) -> PlannedStep:
    step = PlannedStep(*fields)
    return step._replace(phase=Phase(step.phase), state=StepState(step.state), children=tuple(step.children))


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "run_flow": flow_tokens,
    "finalize_flow": flow_tokens,
    "policies": _policies_to_data,
    "history": history_to_data,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "state": PlanState,
    "result": Result,
    "run_flow": flow_from_tokens,
    "finalize_flow": flow_from_tokens,
    "actions": lambda rows: [PlannedAction(*fields) for fields in rows],
    "steps": lambda rows: [_step_from_data(fields) for fields in rows],
    "policies": _policies_from_data,
    "dependencies": lambda rows: [(consumer, tuple(made)) for consumer, made in rows],
    "history": history_from_data,
}
