"""A hook call that is noted, as a row: written with the change of state that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from dynflow_mp.errors import DynflowError
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
    connection: Connection, plan_ids: Sequence[str], kinds: Sequence[str], result: Result, now: int
) -> None:
    """Note hooks for plans that were stopped while they waited: to be planned, to be begun, or to be resumed."""
    stored = connection.execute(select(_plan.id, _plan.policies).where(_plan.id.in_(plan_ids))).fetchall()
    asked_by = {policies: _asked(policies, kinds) for policies in {row[1] for row in stored}}
    for plan_id, policies in stored:
        asked = asked_by[policies]
        if asked:
            NOTE_HOOKS.run(connection, hook_row(plan_id, 2, asked, PlanState.STOPPED, result, now))


def _asked(policies: bytes, kinds: Sequence[str]) -> list[str]:
    try:
        found = {name: ActionPolicy.from_data(data) for name, data in decode(policies).items()}
    except (DynflowError, LookupError, TypeError, ValueError, AttributeError):
        return []  # nobody can tell what they ask for; the plans are stopped all the same
    return wanted(found, kinds)


def note_for_new(
    connection: Connection, plan: PlannedPlan, number: int, kinds: Iterable[str], now: int
) -> None:
    """Note hooks for what a plan went through before anybody ran it, if any class asks for it."""
    asked = wanted(plan.policies, kinds)
    if asked:
        NOTE_HOOKS.run(connection, hook_row(plan.id, number, asked, plan.state, plan.result, now))
