"""What worlds agree on: who is here, and who holds what.

A record is found by its class name and id; one of each pair exists. A lock is a record with an owner. To
take a lock is to insert its record, which is all the mutual exclusion there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dynflow_mp.errors import DataError
from dynflow_mp.model.held_by_plans import SINGLETON_LOCK, owner_of_plan, plan_of_owner, singleton_lock_id

MAX_TEXT = 100
"""Most characters of a class name, an id or an owner: what every database can index."""

EXECUTOR_WORLD = "ExecutorWorld"
CLIENT_WORLD = "ClientWorld"
DEGRADED = "degraded"
"""Where a world's record says why it takes no new plans at the moment."""
WORLD_CLASSES = (EXECUTOR_WORLD, CLIENT_WORLD)


class WorldState(str, Enum):
    """Where a world is in its life; ``dead`` is final."""

    ALIVE = "alive"
    DRAINING = "draining"
    DEAD = "dead"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class WorldRecord:
    """One world. ``lease`` changes with every renewal; its value says nothing by itself."""

    id: str
    executor: bool
    state: str = WorldState.ALIVE.value
    meta: Mapping[str, Any] = field(default_factory=dict)
    lease: int = 0

    @property
    def class_name(self) -> str:
        return EXECUTOR_WORLD if self.executor else CLIENT_WORLD

    @property
    def active(self) -> bool:
        """Whether it takes new work."""
        return self.state == WorldState.ALIVE.value

    @property
    def degraded(self) -> str | None:
        """Why it takes no new plans although it lives: its workers fail too often; None while all is well."""
        reason = self.meta.get(DEGRADED)
        return None if reason is None else str(reason)

    def __str__(self) -> str:
        return f"{self.class_name} {self.id}"


@dataclass(frozen=True)
class Record:
    """Something worlds agree on. ``stored`` tells that it came from the database."""

    class_name: str
    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    stored: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.class_name} {self.id}"


@dataclass(frozen=True)
class Lock:
    """A record with an owner: whoever inserts it holds it. ``epoch`` only where plans change hands."""

    class_name: str
    id: str
    owner_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    stored: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.class_name} {self.id} of {self.owner_id}"


class _LockByWorld(Lock):
    """A lock that a world holds."""

    def __init__(
        self, name: str, world_id: str, data: Mapping[str, Any] | None = None, epoch: int | None = None
    ) -> None:
        kept = {"world_id": world_id, **(data or {})}
        super().__init__(type(self).__name__, name, owner_of_world(world_id), kept, epoch)

    @property
    def world_id(self) -> str:
        return str(self.data["world_id"])


class ExecutionLock(_LockByWorld):
    """One executor at a time runs a plan; tells under which request of which client."""

    def __init__(
        self, plan_id: str, world_id: str, client_id: str | None, request_id: str | None, epoch: int
    ) -> None:
        data = {"plan_id": plan_id, "client_id": client_id, "request_id": request_id}
        super().__init__(plan_lock_id(plan_id), world_id, data, epoch)

    @property
    def plan_id(self) -> str:
        return _plan_of_lock(self)

    @property
    def client_id(self) -> str | None:
        return _text_or_none(self.data.get("client_id"))

    @property
    def request_id(self) -> str | None:
        return _text_or_none(self.data.get("request_id"))


class AutoExecuteLock(_LockByWorld):
    """One sweep for plans to take up at a time."""

    ID = "auto-execute"

    def __init__(self, world_id: str) -> None:
        super().__init__(self.ID, world_id)

    @classmethod
    def unique_filter(cls) -> dict[str, str]:
        """Finds the one lock of this class there may be."""
        return {"class_name": cls.__name__, "id": cls.ID}


class WorldInvalidationLock(_LockByWorld):
    """One takeover of a dead world's plans at a time."""

    def __init__(self, world_id: str, invalidated_world_id: str) -> None:
        super().__init__(
            f"world-invalidation:{invalidated_world_id}",
            world_id,
            {"invalidated_world_id": invalidated_world_id},
        )


class PlanningLock(_LockByWorld):
    """A scheduled plan is being planned; tells a dead planner from a slow one."""

    def __init__(self, plan_id: str, world_id: str) -> None:
        super().__init__(plan_lock_id(plan_id), world_id, {"plan_id": plan_id})

    @property
    def plan_id(self) -> str:
        return _plan_of_lock(self)


class SingletonActionLock(Lock):
    """One plan of a singleton class at a time is active; the plan holds it, whichever world runs it."""

    def __init__(self, action_class: str, plan_id: str) -> None:
        data = {"action_class": action_class, "plan_id": plan_id}
        super().__init__(SINGLETON_LOCK, singleton_lock_id(action_class), owner_of_plan(plan_id), data)

    @property
    def plan_id(self) -> str:
        return str(self.data.get("plan_id") or plan_of_owner(self.owner_id))

    @property
    def action_class(self) -> str:
        """The class's stored name."""
        return str(self.data.get("action_class") or self.id)


class DelayedExecutorLock(_LockByWorld):
    """One world has scheduled plans planned when their time comes."""

    ID = "delayed-executor"

    def __init__(self, world_id: str) -> None:
        super().__init__(self.ID, world_id)


class ExecutionPlanCleanerLock(_LockByWorld):
    """One world deletes plans that ended long ago."""

    ID = "execution-plan-cleaner"

    def __init__(self, world_id: str) -> None:
        super().__init__(self.ID, world_id)


LOCK_CLASSES: Mapping[str, type[Lock]] = {
    kind.__name__: kind
    for kind in (
        ExecutionLock,
        AutoExecuteLock,
        WorldInvalidationLock,
        PlanningLock,
        DelayedExecutorLock,
        ExecutionPlanCleanerLock,
        SingletonActionLock,
    )
}

AnyRecord = Record | Lock | WorldRecord


_WORLD = "world:"
_PLAN_LOCK = "execution-plan:"


def owner_of_world(world_id: str) -> str:
    """How locks name a world as their owner."""
    return _WORLD + world_id


def world_of_owner(owner_id: str) -> str | None:
    """The id of the world that locks name so; None for an owner that is no world."""
    return owner_id.removeprefix(_WORLD) if owner_id.startswith(_WORLD) else None


def plan_lock_id(plan_id: str) -> str:
    """The id of locks about one plan."""
    return f"{_PLAN_LOCK}{plan_id}"


def _plan_of_lock(lock: Lock) -> str:
    """From what it says; where that cannot be read, its id tells as well."""
    return str(lock.data.get("plan_id") or lock.id.removeprefix(_PLAN_LOCK))


def stored_lock(
    class_name: str, lock_id: str, owner_id: str, data: Mapping[str, Any], epoch: int | None
) -> Lock:
    """A lock as it was read: of its own class where that is known, else a plain one."""
    kind = LOCK_CLASSES.get(class_name, Lock)
    lock = kind.__new__(kind)
    Lock.__init__(lock, class_name, lock_id, owner_id, data, epoch, stored=True)
    return lock


def check_texts(record: Record | Lock | WorldRecord) -> None:
    """Raise :class:`DataError` where a text is not one that every database keeps and compares alike."""
    for name in ("class_name", "id", "owner_id"):
        reason = _unfit(getattr(record, name, "-"))
        if reason is not None:
            raise DataError(f"{type(record).__name__}.{name}", reason)


def _unfit(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return f"{value!r} is not a text"
    if len(value) > MAX_TEXT:
        return f"{len(value)} characters are more than {MAX_TEXT}"
    if value.endswith(" "):
        return f"{value!r} ends with a space, which MariaDB and MySQL do not compare"
    if "\0" in value:
        return f"{value!r} has a NUL in it, which PostgreSQL does not store"
    return None


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)
