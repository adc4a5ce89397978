"""A hook call that is noted, as a row: written with the change of state that it is about."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.hooks import wanted
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.statements import Row, inserting
from dynflow_mp.persistence.tables import execution_plans, hook_calls

_plan = execution_plans.c
NOTE_HOOKS = inserting(hook_calls, or_nothing=True)


def hook_row(
    plan_id: str, number: int, kinds: Iterable[str], state: PlanState, result: Result, now: int
) -> Row:
    """One call to be made; nobody has taken it yet."""
    return (plan_id, number, encode([list(kinds), state.value, result.value], "kinds"), now, None)


def note_for_waiting(
    connection: Connection, plan_id: str, kinds: Iterable[str], result: Result, now: int
) -> None:
    """Note hooks for a plan that was stopped before it was planned."""
    stored = connection.execute(select(_plan.policies).where(_plan.id == plan_id)).scalar_one()
    policies = {name: ActionPolicy.from_data(data) for name, data in decode(stored).items()}
    asked = wanted(policies, kinds)
    if asked:
        NOTE_HOOKS.run(connection, hook_row(plan_id, 2, asked, PlanState.STOPPED, result, now))


def note_for_new(
    connection: Connection, plan: PlannedPlan, number: int, kinds: Iterable[str], now: int
) -> None:
    """Note hooks for what a plan went through before anybody ran it, if any class asks for it."""
    asked = wanted(plan.policies, kinds)
    if asked:
        NOTE_HOOKS.run(connection, hook_row(plan.id, number, asked, plan.state, plan.result, now))
