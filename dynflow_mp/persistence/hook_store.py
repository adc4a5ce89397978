"""Hook calls that are noted: taken by one world, called, forgotten.

noted with its cause ─▶ taken (owner) ─▶ called in a worker ─▶ forgotten
                           └ its owner died, or ended ─▶ taken by another: called at least once
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.codec import decode
from dynflow_mp.model.hooks import HookedAction
from dynflow_mp.model.policies import DEFAULT_QUEUE, ActionPolicy
from dynflow_mp.persistence.database import Database, Fence
from dynflow_mp.persistence.tables import actions, actions_with_outputs, execution_plans, hook_calls, outputs

_call, _plan, _action = hook_calls.c, execution_plans.c, actions.c
_ROWS_OF = (
    _action.action_class,
    _action.id,
    _action.plan_step_id,
    _action.run_step_id,
    _action.finalize_step_id,
    _action.caller_execution_plan_id,
    _action.caller_action_id,
    _action.input,
    outputs.c.output,
)


class HookCall(NamedTuple):
    """One change of a plan's state, and the kinds its hooks are to be called for."""

    plan_id: str
    id: int
    kinds: list[str]
    state: str
    result: str


class HookBrief(NamedTuple):
    """What is needed to make a call."""

    label: str
    queue: str
    actions: list[HookedAction]


class HookStore:
    """All that is stored about hook calls. Any thread may call it; every call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self,
        world_id: str,
        living: Collection[str],
        most: int,
        fence: Fence,
        known: Collection[tuple[str, int]] = (),
    ) -> list[HookCall]:
        """Take calls that nobody has who is alive, oldest first, of each plan one after the other.

        ``known`` are those that ``world_id`` has (plan and number). Others under its name it took without hearing of it.
        """
        free = or_(
            _call.owner_id.is_(None), _call.owner_id == world_id, _call.owner_id.not_in(sorted(living))
        )
        query = select(hook_calls).where(free).order_by(_call.noted_at, _call.execution_plan_id, _call.id)
        query = query.limit(most + len(known))
        rows = self._database.ask(lambda connection: connection.execute(query).fetchall())
        found = [row for row in rows if (row[0], row[1]) not in known][:most]
        if not found:
            return []

        def take_them(connection: Connection, _in_doubt: bool) -> list[Any]:
            return [row for row in found if _took(connection, row, free, world_id)]

        taken = self._database.change(take_them, fence)
        return [HookCall(row[0], row[1], *_kinds(row[2])) for row in taken]

    def brief(self, call: HookCall) -> HookBrief | None:
        """The actions whose classes have hooks for this call; None if the plan is gone, or cannot be read."""
        columns = select(_plan.label, _plan.policies).where(_plan.id == call.plan_id)

        def read(connection: Connection) -> HookBrief | None:
            row = connection.execute(columns).fetchone()
            if row is None:
                return None
            try:
                policies = {name: ActionPolicy.from_data(data) for name, data in decode(row[1]).items()}
            except (DamagedData, TypeError, AttributeError):
                return None
            wanted = {
                name: policy
                for name, policy in policies.items()
                if set(policy.hooks.split()) & set(call.kinds)
            }
            query = (
                select(*_ROWS_OF)
                .select_from(actions_with_outputs)
                .where(_action.execution_plan_id == call.plan_id, _action.action_class.in_(list(wanted)))
                .order_by(_action.id)
            )
            found = [HookedAction(*action) for action in connection.execute(query)]
            queue = next((policy.queue for policy in wanted.values() if policy.queue), None)
            return HookBrief(row[0], queue or DEFAULT_QUEUE, found)

        return self._database.ask(read)

    def forget(self, call: HookCall, fence: Fence) -> None:
        """It was made."""
        this = (_call.execution_plan_id == call.plan_id, _call.id == call.id)
        self._database.change(
            lambda connection, _in_doubt: connection.execute(delete(hook_calls).where(*this)), fence
        )

    def give_back(self, world_id: str, fence: Fence | None = None) -> None:
        """This world makes no more calls: another may have those it has taken."""
        change = update(hook_calls).where(_call.owner_id == world_id).values(owner_id=None)
        self._database.change(lambda connection, _in_doubt: connection.execute(change), fence)


def _took(connection: Connection, row: Any, free: ColumnElement[bool], world_id: str) -> bool:
    this = (_call.execution_plan_id == row[0], _call.id == row[1])
    change = update(hook_calls).where(*this, free).values(owner_id=world_id)
    return connection.execute(change).rowcount == 1


def _kinds(data: bytes) -> tuple[list[str], str, str]:
    kinds, state, result = decode(data)
    return kinds, state, result
