"""For which changes of a plan's state hooks are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result

SUCCESS, FAILURE = "success", "failure"
STATES = tuple(state.value for state in PlanState)
KINDS = (*STATES, SUCCESS, FAILURE)
CALLS_AN_EPOCH = 4
"""Numbers of calls follow from the epoch in which they are noted: noted twice they are one."""


class HookedAction(NamedTuple):
    """One action whose hooks are to be called; input and output are the codec's bytes."""

    action_class: str
    id: int
    plan_step_id: int
    run_step_id: int | None
    finalize_step_id: int | None
    caller_plan_id: str | None
    caller_action_id: int | None
    input: bytes
    output: bytes | None


_FAILURES = (Result.ERROR, Result.WARNING, Result.CANCELLED)


def kinds_of(state: PlanState, result: Result, halted: bool = False) -> tuple[str, ...]:
    """What a change to this state is called: a plan that stops has failed or not, unless it was only halted (W14)."""
    if state is not PlanState.STOPPED or halted or result is Result.PENDING:
        return (state.value,)
    return (state.value, FAILURE if result in _FAILURES else SUCCESS)


def wanted(policies: Mapping[str, ActionPolicy], kinds: Iterable[str]) -> list[str]:
    """Those of these kinds, in their order, for which any class has hooks."""
    asked = {kind for policy in policies.values() if policy.hooks for kind in policy.hooks.split()}
    return [kind for kind in kinds if kind in asked] if asked else []
