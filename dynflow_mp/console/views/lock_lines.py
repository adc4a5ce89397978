"""Who holds which lock, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from dynflow_mp.coordinator.records import (
    AutoExecuteLock,
    DelayedExecutorLock,
    ExecutionLock,
    ExecutionPlanCleanerLock,
    PlanningLock,
    SingletonActionLock,
    WorldInvalidationLock,
    world_of_owner,
)

_WORDS = {
    ExecutionLock: "runs a plan",
    PlanningLock: "plans a scheduled plan",
    AutoExecuteLock: "looks for plans to take up",
    WorldInvalidationLock: "takes a dead world's plans over",
    SingletonActionLock: "singleton",
    DelayedExecutorLock: "has scheduled plans planned when their time comes",
    ExecutionPlanCleanerLock: "deletes old plans",
}


class LockLine(NamedTuple):
    """``gone``: the world that holds it is not registered (any more)."""

    class_name: str
    id: str
    what: str
    about: str
    plan_id: str | None
    owner_id: str
    world_id: str | None
    owner_plan_id: str | None
    client_id: str | None
    gone: bool


def lock_lines(locks: Iterable[Any], world_ids: Iterable[str]) -> list[LockLine]:
    """A line for each lock."""
    known = set(world_ids)
    return [_line(lock, known) for lock in locks]


def _line(lock: Any, known: set[str]) -> LockLine:
    world_id = world_of_owner(lock.owner_id)
    about = lock.id
    if isinstance(lock, SingletonActionLock):
        about = lock.action_class
    elif isinstance(lock, WorldInvalidationLock):
        about = f"world {lock.data.get('invalidated_world_id', lock.id)}"
    return LockLine(
        lock.class_name,
        lock.id,
        _WORDS.get(type(lock), lock.class_name),
        about,
        lock.plan_id if isinstance(lock, (ExecutionLock, PlanningLock)) else None,
        lock.owner_id,
        world_id,
        lock.plan_id if isinstance(lock, SingletonActionLock) else None,
        lock.client_id if isinstance(lock, ExecutionLock) else None,
        world_id is not None and world_id not in known,
    )
