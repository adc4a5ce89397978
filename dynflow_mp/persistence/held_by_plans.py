"""The locks of singleton classes and the unique keys: taken, and given up, in the transaction that stores the reason.

    a new plan ─ keep_key, take_locks ─▶ planned ─▶ … claimed: take_locks ─▶ paused, stopped: give_up

They are rows of the coordinator's table and of ``unique_keys``, but a plan's own, not a world's: who owns the plan does
not matter to them. To take one is to insert its row; whoever finds it there is too late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, delete, literal_column, select

from dynflow_mp.errors import UniqueKeyTaken
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.held_by_plans import (
    SINGLETON_LOCK,
    OnConflict,
    owner_of_plan,
    plan_of_owner,
    singleton_lock_id,
)
from dynflow_mp.model.hooks import kinds_of
from dynflow_mp.model.plans import HistoryEntry, history_from_data, history_to_data
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.hook_rows import note_for_waiting
from dynflow_mp.persistence.rows import RESULTS
from dynflow_mp.persistence.statements import Row, Statement, inserting
from dynflow_mp.persistence.tables import coordinator_records, execution_plans, unique_keys

_record, _plan, _key = coordinator_records.c, execution_plans.c, unique_keys.c
_record_class = coordinator_records.c["class"]
_NO_LIMIT = 2**40

_INSERT_LOCK = inserting(coordinator_records, or_nothing=True)
_LOCK_OWNER = Statement(
    select(_record.owner_id).where(_record_class == bindparam("kind"), _record.id == bindparam("id")),
    ("kind", "id"),
)
_INSERT_KEY = inserting(unique_keys, or_nothing=True)
_HOLDER = Statement(
    select(_plan.id, _plan.state, _plan.owner_id, _plan.requested_at)
    .select_from(unique_keys.join(execution_plans, _plan.id == _key.execution_plan_id))
    .where(_key.key == bindparam("key")),
    ("key",),
)
_STOPPABLE = (PlanState.PENDING, PlanState.SCHEDULED, PlanState.PLANNED, PlanState.PAUSED)


class Holder(NamedTuple):
    """The plan that holds a key."""

    plan_id: str
    state: str
    owner_id: str | None
    requested_at: int | None


class KeyHeld(Exception):
    """Not an error: another plan holds the key. Leaves the transaction, which is rolled back."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(holder.plan_id)
        self.holder = holder


# -- locks of singletons -----------------------------------------------------------------------------


def take_locks(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Take locks of (class, plan) each, in one order for all; by plan, the class whose lock another plan holds."""
    refused: dict[str, str] = {}
    for action_class, plan_id in sorted(wanted):
        if _INSERT_LOCK.run(connection, _lock_row(action_class, plan_id)).rowcount == 1:
            continue
        if _owner_of(connection, action_class) != owner_of_plan(plan_id):
            refused.setdefault(plan_id, action_class)
    return refused


def others_locks(connection: Connection, plan_id: str, classes: Iterable[str]) -> frozenset[str]:
    """Those of these classes whose lock another plan holds now."""
    free = (None, owner_of_plan(plan_id))
    return frozenset(name for name in classes if _owner_of(connection, name) not in free)


def give_up_locks(connection: Connection, plan_ids: Sequence[str]) -> None:
    """Give up all locks of these plans."""
    owners = [owner_of_plan(plan_id) for plan_id in plan_ids]
    connection.execute(
        delete(coordinator_records).where(_record.owner_id.in_(owners), _record_class == SINGLETON_LOCK)
    )


def give_up_all(connection: Connection, plan_ids: Sequence[str]) -> None:
    """Give up the locks and the keys of these plans, which have ended."""
    give_up_locks(connection, plan_ids)
    connection.execute(delete(unique_keys).where(_key.execution_plan_id.in_(plan_ids)))


def _owner_of(connection: Connection, action_class: str) -> str | None:
    row = _LOCK_OWNER.run(connection, (SINGLETON_LOCK, singleton_lock_id(action_class))).fetchone()
    return None if row is None else row[0]


def _lock_row(action_class: str, plan_id: str) -> Row:
    data = encode({"action_class": action_class, "plan_id": plan_id}, "record")
    lock_id, owner_id = singleton_lock_id(action_class), owner_of_plan(plan_id)
    return (SINGLETON_LOCK, lock_id, owner_id, None, None, None, data)


# -- unique keys -------------------------------------------------------------------------------------


def holder_of(connection: Connection, key: str) -> Holder | None:
    """The plan that holds the key now."""
    row = _HOLDER.run(connection, (key,)).fetchone()
    return None if row is None else Holder(*row)


def make_way(connection: Connection, key: str, mode: OnConflict, now: int) -> None:
    """See to it that the key is free. Raises :class:`UniqueKeyTaken`, or :class:`KeyHeld` to return its holder."""
    holder = holder_of(connection, key)
    if holder is None:
        return
    if mode is OnConflict.RETURN:
        raise KeyHeld(holder)
    if mode is OnConflict.RAISE:
        raise UniqueKeyTaken(key, holder.plan_id)
    _stop(connection, key, holder, now)


def keep_key(connection: Connection, key: str, plan_id: str) -> bool:
    """Have a plan, whose row is there, hold the key; false if another was quicker."""
    return bool(_INSERT_KEY.run(connection, (key, plan_id)).rowcount == 1)


def give_up_keys(connection: Connection, plan_ids: Sequence[str]) -> None:
    """Give up the keys of these plans."""
    connection.execute(delete(unique_keys).where(_key.execution_plan_id.in_(list(plan_ids))))


def _stop(connection: Connection, key: str, holder: Holder, now: int) -> None:
    """Stop a plan that nobody runs; whoever waits for it finds it stopped."""
    plan_id = holder.plan_id
    stoppable = _plan.owner_id.is_(None) & _plan.state.in_([state.value for state in _STOPPABLE])
    row = connection.execute(
        select(_plan.history, _plan.result).where(_plan.id == plan_id, stoppable).with_for_update()
    ).fetchone()
    if row is None:
        raise UniqueKeyTaken(key, plan_id, "it is running, so it cannot be replaced")
    history = (*history_from_data(decode(row[0])), HistoryEntry(now, "replaced", None))
    connection.execute(
        execution_plans.update()
        .where(_plan.id == plan_id)
        .values(
            state=PlanState.STOPPED.value,
            ended_at=now,
            requested_at=None,
            lock_epoch=_plan.lock_epoch + 1,
            history=encode(history_to_data(history), "history", _NO_LIMIT),
        )
    )
    give_up_keys(connection, [plan_id])
    give_up_locks(connection, [plan_id])
    result = RESULTS.get(row[1], Result.PENDING)
    note_for_waiting(connection, [plan_id], kinds_of(PlanState.STOPPED, result, halted=True), result, now)


# -- what was left -----------------------------------------------------------------------------------


def orphaned(connection: Connection) -> list[tuple[str, str]]:
    """(id, owner) of the locks whose plan is gone, stopped, or paused without anybody having asked for it."""
    locks = _SINGLETON_LOCKS.run(connection, ()).fetchall()
    active = _ACTIVE.where(_plan.id == bindparam("plan_id"))
    return [lock for lock in map(tuple, locks) if not _is_active(connection, active, lock[1])]


def give_up_orphans(connection: Connection, found: Iterable[tuple[str, str]]) -> int:
    """Delete those of these locks that are orphaned still; how many."""
    given_up = 0
    active = _ACTIVE.where(_plan.id == bindparam("plan_id")).with_for_update()
    for lock_id, owner in found:
        if not _is_active(connection, active, owner):
            orphan = (_record_class == SINGLETON_LOCK, _record.id == lock_id, _record.owner_id == owner)
            given_up += connection.execute(delete(coordinator_records).where(*orphan)).rowcount
    return given_up


_ACTIVE = select(_plan.state, _plan.owner_id, _plan.requested_at)
_SINGLETON_LOCKS = Statement(
    select(_record.id, _record.owner_id).where(_record_class == literal_column(f"'{SINGLETON_LOCK}'")), ()
)


def _is_active(connection: Connection, query: Select[Any], owner: str) -> bool:
    """Whether a plan may hold locks; a paused one that is asked for, or owned, goes on."""
    row = connection.execute(query, {"plan_id": plan_of_owner(owner)}).fetchone()
    if row is None or row[0] == PlanState.STOPPED.value:
        return False
    return bool(row[0] != PlanState.PAUSED.value or row[1] is not None or row[2] is not None)
