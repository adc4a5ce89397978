"""What there is to know about why a plan, or a step of it, does not go on: values only, gathered by whoever can read them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.coordinator.records import Lock, WorldRecord, world_of_owner
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.sub_plans import SubPlanCount
from dynflow_mp.persistence.rows import PLAN_STATES, RESULTS
from dynflow_mp.persistence.waiting_steps import WaitRows
from dynflow_mp.reading.step import at


class WorldFacts(NamedTuple):
    """A world as its record tells. ``queues`` and ``free``: workers, and those that have nothing to do, by queue."""

    id: str
    executor: bool
    state: str
    degraded: str | None = None
    queues: Mapping[str, int] = {}
    free: Mapping[str, int] = {}

    @property
    def offers(self) -> bool:
        """Whether it takes new plans."""
        return self.executor and self.state == "alive" and self.degraded is None


class LockFacts(NamedTuple):
    """A lock: its class's name, what it is about, who holds it (a world's id, where a world does)."""

    class_name: str
    id: str
    world_id: str | None


class DelayFacts(NamedTuple):
    """When a scheduled plan may start; None: at once, for ever."""

    start_at: datetime | None
    start_before: datetime | None
    frozen: bool


class PrerequisiteFacts(NamedTuple):
    """A plan that must have stopped before; ``state`` None for one that is gone."""

    plan_id: str
    state: PlanState | None
    result: Result | None


class EventFacts(NamedTuple):
    """An event that was accepted and not taken yet; ``due_at`` None: at once."""

    step_id: int
    due_at: datetime | None
    recorded_at: datetime | None


class WaitFacts(NamedTuple):
    """All of it, at one time. ``sub_plans``: by action, how its sub-plans stand."""

    now: datetime
    worlds: tuple[WorldFacts, ...] = ()
    locks: tuple[LockFacts, ...] = ()
    delay: DelayFacts | None = None
    prerequisites: tuple[PrerequisiteFacts, ...] = ()
    events: tuple[EventFacts, ...] = ()
    sub_plans: Mapping[int, tuple[SubPlanCount, ...]] = {}

    def living(self, world_id: str | None) -> WorldFacts | None:
        """This world, unless it is dead or not registered any more."""
        return next((world for world in self.worlds if world.id == world_id and world.state != "dead"), None)

    def holder(self, class_name: str, lock_id: str) -> str | None:
        """Which world holds a lock; None if nobody does."""
        for lock in self.locks:
            if (lock.class_name, lock.id) == (class_name, lock_id):
                return lock.world_id
        return None


def lock_facts(locks: Iterable[Lock]) -> tuple[LockFacts, ...]:
    """What locks say."""
    return tuple(LockFacts(lock.class_name, lock.id, world_of_owner(lock.owner_id)) for lock in locks)


def wait_facts(
    rows: WaitRows,
    worlds: Iterable[WorldRecord],
    locks: Iterable[Lock],
    now: datetime,
    gone: Container[str] = (),
) -> WaitFacts:
    """All that was read, as facts; worlds that are ``gone`` are dead, though nobody has written it down yet."""
    delay = rows.delay
    return WaitFacts(
        now,
        world_facts(worlds, gone),
        lock_facts(locks),
        None if delay is None else DelayFacts(at(delay[0]), at(delay[1]), delay[2]),
        tuple(
            PrerequisiteFacts(plan_id, PLAN_STATES.get(state or ""), RESULTS.get(result or ""))
            for plan_id, state, result in rows.prerequisites
        ),
        tuple(
            EventFacts(step_id, at(due_at), at(recorded_at)) for step_id, due_at, recorded_at in rows.events
        ),
        rows.sub_plans,
    )


def world_facts(records: Iterable[WorldRecord], gone: Container[str] = ()) -> tuple[WorldFacts, ...]:
    """What the register's records say, but for worlds that are ``gone``; what one says in another form than ours counts as not said."""
    return tuple(
        WorldFacts(
            record.id,
            record.executor,
            "dead" if record.id in gone else str(record.state),
            record.degraded,
            _numbers(record.meta.get("queues")),
            _numbers(record.meta.get("free")),
        )
        for record in records
    )


def _numbers(said: Any) -> dict[str, int]:
    if not isinstance(said, dict):
        return {}
    return {str(name): number for name, number in said.items() if type(number) is int}
