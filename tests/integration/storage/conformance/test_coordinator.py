"""Records, worlds and locks (the Coordinator items of the reference, by number)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from unittest.mock import Mock

import pytest
from sqlalchemy import text
from stored_plans import PLAN, WORLD, a_plan, claim, end

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import (
    AutoExecuteLock,
    ExecutionLock,
    Lock,
    PlanningLock,
    Record,
    WorldInvalidationLock,
    WorldRecord,
    owner_of_world,
)
from dynflow_mp.errors import (
    DataError,
    DuplicateRecord,
    InactiveWorld,
    LockLost,
    LockTaken,
    PersistenceError,
    QueryError,
    RecordNotFound,
    WorldFenced,
)
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store


@pytest.fixture
def other(open_database: Callable[[], Database], coordinator: Coordinator) -> Coordinator:
    """Of another registered world, through a database object of its own."""
    other = Coordinator(open_database(), "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    return other


# -- records -----------------------------------------------------------------------------------------


def test_a_record_of_ones_own_kind_is_found_by_its_class(coordinator: Coordinator):
    """Item 7."""
    record = Record("Counter", "visits", {"value": 1})

    coordinator.create_record(record)

    assert coordinator.find_records(class_name="Counter") == [record]


def test_an_updated_record_has_the_new_data(coordinator: Coordinator):
    """Item 8."""
    coordinator.create_record(Record("Counter", "visits", {"value": 1}))

    coordinator.update_record(Record("Counter", "visits", {"value": 2}))

    (found,) = coordinator.find_records(class_name="Counter")
    assert isinstance(found, Record)
    assert found.data == {"value": 2}


def test_a_deleted_record_is_gone_and_does_not_come_back(coordinator: Coordinator):
    """Item 9; an update never resurrects."""
    record = Record("Counter", "visits", {"value": 1})
    coordinator.create_record(record)

    coordinator.delete_record(record)
    coordinator.delete_record(record)

    with pytest.raises(RecordNotFound, match="Counter visits is not there any more"):
        coordinator.update_record(record)
    assert coordinator.find_records(class_name="Counter") == []


def test_a_record_of_another_world_is_a_duplicate(coordinator: Coordinator, other: Coordinator):
    """Item 12."""
    record = Record("Counter", "visits", {"value": 1})
    coordinator.create_record(record)

    with pytest.raises(DuplicateRecord) as refused:
        other.create_record(record)

    assert refused.value.record is record


def test_different_records_of_two_worlds_coexist(coordinator: Coordinator, other: Coordinator):
    """Item 13."""
    coordinator.create_record(Record("Counter", "visits"))
    other.create_record(Record("Counter", "orders"))
    other.create_record(Record("Gauge", "visits"))

    assert [str(record) for record in other.find_records(id=["visits", "orders"])] == [
        "Counter orders",
        "Counter visits",
        "Gauge visits",
    ]


def test_records_are_found_without_those_of_an_owner(coordinator: Coordinator):
    coordinator.create_record(Record("Counter", "visits"))
    coordinator.create_record(Lock("Mutex", "door", "world:a"))
    coordinator.create_record(Lock("Mutex", "gate", "world:b"))

    found = coordinator.find_records(class_name=["Counter", "Mutex"], exclude_owner_id=["world:a"])

    assert [record.id for record in found] == ["visits", "gate"]


def test_an_unknown_filter_is_refused(coordinator: Coordinator):
    for find in (coordinator.find_records, coordinator.find_locks, coordinator.find_worlds):
        with pytest.raises(QueryError, match="cannot be found by colour"):
            find(colour="red")


@pytest.mark.parametrize(
    "record",
    [
        Record("C" * 101, "x"),
        Record("Counter", "x" * 101),
        Record("Counter", ""),
        Record("Counter", 7),  # type: ignore[arg-type]
        Lock("Mutex", "x", "o" * 101),
        Lock("Mutex", "x", None),  # type: ignore[arg-type]
    ],
)
def test_texts_that_no_database_can_index_are_refused(coordinator: Coordinator, record: Record | Lock):
    with pytest.raises(DataError):
        coordinator.create_record(record)


def test_a_hundred_characters_are_enough(coordinator: Coordinator):
    record = Record("C" * 100, "x" * 100)

    coordinator.create_record(record)

    assert coordinator.find_records(class_name="C" * 100) == [record]


# -- locks -------------------------------------------------------------------------------------------


def test_a_lock_is_held_for_the_block_and_released_whatever_happens(coordinator: Coordinator):
    """Item 1."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD))
    seen: list[list[Lock]] = []

    def hold_and_fail() -> None:
        with coordinator.holding(lock):
            seen.append(coordinator.find_locks(class_name="Mutex"))
            raise KeyError

    with pytest.raises(KeyError):
        hold_and_fail()

    assert seen == [[lock]]
    assert coordinator.find_locks(class_name="Mutex") == []


def test_a_lock_whose_release_the_database_did_not_hear_is_used_again(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
):
    """Of a world that lives nobody else would free it."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD))
    away = PersistenceError("the database is away", "connection")
    with monkeypatch.context() as patches, pytest.raises(PersistenceError), coordinator.holding(lock):
        patches.setattr(coordinator, "release", Mock(side_effect=away))
    assert coordinator.find_locks(class_name="Mutex") == [lock]

    with coordinator.holding(lock):
        assert coordinator.find_locks(class_name="Mutex") == [lock]

    assert coordinator.find_locks(class_name="Mutex") == []


def test_a_lock_that_a_block_of_this_world_holds_is_taken(coordinator: Coordinator):
    lock = Lock("Mutex", "door", owner_of_world(WORLD))

    with coordinator.holding(lock):
        with pytest.raises(LockTaken), coordinator.holding(lock):
            pytest.fail("held twice")
        assert coordinator.find_locks(class_name="Mutex") == [lock]

    assert coordinator.find_locks(class_name="Mutex") == []


def test_locks_released_by_their_owner_can_be_taken_again(coordinator: Coordinator):
    """Item 3: the lock was taken by another thread of the world."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD))
    thread = Thread(target=coordinator.acquire, args=(lock,))
    thread.start()
    thread.join(10)

    released = coordinator.release_by_owner(owner_of_world(WORLD))

    coordinator.acquire(lock)
    assert released == 1


def test_a_lock_is_found_by_its_owner(coordinator: Coordinator):
    """Item 4."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD), {"since": 7, "why": ["because"]})
    coordinator.acquire(lock)

    (found,) = coordinator.find_locks(owner_id=owner_of_world(WORLD))

    assert found == lock
    assert found.data == {"since": 7, "why": ["because"]}


def test_a_lock_is_found_by_class_and_id(coordinator: Coordinator):
    """Item 5."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD))
    coordinator.acquire(lock)

    assert coordinator.find_locks(class_name="Mutex", id="door") == [lock]
    assert coordinator.find_locks(class_name="Mutex", id="gate") == []


def test_a_held_lock_is_refused_to_others_and_to_its_holder(coordinator: Coordinator, other: Coordinator):
    coordinator.acquire(AutoExecuteLock(WORLD))

    for asking in (other, coordinator):
        with pytest.raises(LockTaken, match="unable to acquire AutoExecuteLock auto-execute of world:"):
            asking.acquire(AutoExecuteLock(asking.world_id))


def test_a_world_that_ends_takes_no_lock(database: Database, coordinator: Coordinator):
    """Item 11."""
    ending = Coordinator(database, WORLD, active=lambda: False)

    with pytest.raises(InactiveWorld, match=f"world {WORLD} is not active"):
        ending.acquire(AutoExecuteLock(WORLD))

    assert coordinator.find_locks() == []


def test_the_auto_execute_lock_tells_its_world(coordinator: Coordinator):
    """Item 15."""
    coordinator.acquire(AutoExecuteLock(WORLD))

    (found,) = coordinator.find_locks(**AutoExecuteLock.unique_filter())

    assert isinstance(found, AutoExecuteLock)
    assert found.world_id == WORLD


def test_locks_are_read_as_what_they_are(coordinator: Coordinator):
    locks = [
        AutoExecuteLock(WORLD),
        ExecutionLock(PLAN, WORLD, None, None, 3),
        PlanningLock(PLAN, WORLD),
        WorldInvalidationLock(WORLD, "world-9"),
    ]
    for lock in locks:
        coordinator.acquire(lock)

    found = coordinator.find_locks(owner_id=owner_of_world(WORLD))

    assert found == locks
    assert [type(lock) for lock in found] == [type(lock) for lock in locks]
    assert all(lock.stored for lock in found)


def test_a_lock_that_was_read_is_released_but_not_acquired(coordinator: Coordinator):
    coordinator.acquire(AutoExecuteLock(WORLD))
    (found,) = coordinator.find_locks()

    with pytest.raises(TypeError, match="was read from the database"):
        coordinator.acquire(found)
    coordinator.release(found)

    assert coordinator.find_locks() == []


def test_g12_the_end_of_a_turn_of_long_ago_does_not_release_the_lock_of_who_has_the_plan_now(
    store: Store, coordinator: Coordinator, other: Coordinator, turn: Callable[..., frozenset[str]]
):
    """Released, and claimed by another world, while the write waited: nothing of it is carried out."""
    store.save_plan(a_plan(), requested_at=1)
    turn(claim())
    turn(end(state=PlanState.PAUSED, keep_requested=True))
    turn(claim(epoch_read=1, world_id="world-2"), coordinator=other)

    lost = turn(end())

    assert lost == {PLAN}
    assert [(lock.owner_id, lock.epoch) for lock in coordinator.find_locks()] == [("world:world-2", 2)]
    assert store.load_plan(PLAN).owner_id == "world-2"


def test_g12_only_its_owner_at_its_epoch_releases_a_lock(coordinator: Coordinator, other: Coordinator):
    lock = ExecutionLock(PLAN, WORLD, "client-1", "client-1-7", 3)
    coordinator.acquire(lock)

    for wrong in (
        ExecutionLock(PLAN, "world-2", None, None, 3),
        ExecutionLock(PLAN, WORLD, None, None, 2),
    ):
        with pytest.raises(LockLost, match="is not held any more"):
            other.release(wrong)

    coordinator.release(lock)
    with pytest.raises(LockLost):
        coordinator.release(lock)


def test_a_world_gives_up_its_own_lock_on_a_plan_and_no_others(coordinator: Coordinator, other: Coordinator):
    lock = ExecutionLock("a", other.world_id, None, None, 3)
    other.acquire(lock)

    assert not coordinator.release_plan("a")
    assert other.release_plan("a")
    assert not other.release_plan("a")
    assert other.execution_lock("a") is None


def test_nobody_runs_a_plan_without_a_lock(coordinator: Coordinator):
    assert coordinator.execution_lock(PLAN) is None


# -- worlds ------------------------------------------------------------------------------------------


def test_a_registered_world_is_found_with_what_it_says(coordinator: Coordinator):
    meta = {"hostname": "box", "pid": 7, "free": {"default": 3}}
    record = WorldRecord("client-1", executor=False, meta=meta)

    coordinator.register_world(record)

    assert coordinator.find_worlds(id="client-1") == [record]


def test_executors_come_first_and_ending_ones_take_no_work(coordinator: Coordinator, other: Coordinator):
    coordinator.register_world(WorldRecord("a-client", executor=False))
    coordinator.set_world_state("world-2", "draining")

    assert [world.id for world in coordinator.find_worlds()] == [WORLD, "world-2", "a-client"]
    assert [world.id for world in coordinator.find_worlds(active_executors_only=True)] == [WORLD]
    assert [world.id for world in coordinator.find_worlds(state="draining")] == ["world-2"]
    assert [world.id for world in coordinator.find_worlds(executor=False)] == ["a-client"]


def test_a_world_id_is_never_used_twice(coordinator: Coordinator):
    with pytest.raises(DuplicateRecord):
        coordinator.register_world(WorldRecord(WORLD, executor=True))


def test_a_renewed_lease_has_changed_and_says_what_is_new(coordinator: Coordinator):
    (before,) = coordinator.find_worlds(id=WORLD)

    coordinator.renew_lease()
    coordinator.renew_lease({"free": {"default": 2}})

    (after,) = coordinator.find_worlds(id=WORLD)
    assert after.lease == before.lease + 2
    assert after.meta == {"free": {"default": 2}}
    assert before.meta == {}


def test_an_updated_world_keeps_its_lease(coordinator: Coordinator):
    coordinator.renew_lease()

    coordinator.update_world(WorldRecord(WORLD, executor=True, state="draining", meta={"pid": 1}))

    (found,) = coordinator.find_worlds(id=WORLD)
    assert (found.state, found.meta, found.lease) == ("draining", {"pid": 1}, 1)


def test_a_dead_world_stays_dead(coordinator: Coordinator, other: Coordinator):
    other.set_world_state(WORLD, "dead")

    with pytest.raises(WorldFenced, match=f"world {WORLD} was declared dead"):
        coordinator.renew_lease()
    with pytest.raises(RecordNotFound):
        coordinator.set_world_state(WORLD, "alive")
    with pytest.raises(RecordNotFound):
        coordinator.update_world(WorldRecord(WORLD, executor=True))
    with pytest.raises(WorldFenced):
        coordinator.acquire(AutoExecuteLock(WORLD))
    assert coordinator.find_worlds(id=WORLD)[0].state == "dead"


def test_g10_a_world_that_renewed_its_lease_since_it_was_looked_at_is_not_declared_dead(
    coordinator: Coordinator, other: Coordinator
):
    (seen,) = other.find_worlds(id=WORLD)
    coordinator.renew_lease()

    assert other.set_world_state(WORLD, "dead", lease=seen.lease) is False
    assert other.find_worlds(id=WORLD)[0].state == "alive"
    assert other.set_world_state(WORLD, "dead", lease=seen.lease + 1) is True
    with pytest.raises(RecordNotFound):
        other.set_world_state(WORLD, "dead", lease=seen.lease + 1)


def test_a_state_that_worlds_do_not_have_is_refused(coordinator: Coordinator):
    with pytest.raises(ValueError, match="asleep"):
        coordinator.set_world_state(WORLD, "asleep")


@pytest.mark.parametrize("state", ["alive", "draining"])
def test_the_fence_lets_a_living_world_write(coordinator: Coordinator, database: Database, state: str):
    coordinator.set_world_state(WORLD, state)

    with database.write(coordinator.fence) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_the_fence_stops_a_world_that_is_not_registered_any_more(
    coordinator: Coordinator, database: Database
):
    coordinator.delete_world(WORLD)

    with pytest.raises(WorldFenced), database.write(coordinator.fence):
        pytest.fail("it is fenced")


def test_a_deleted_world_takes_its_locks_along_but_not_those_of_its_plans(
    coordinator: Coordinator, other: Coordinator
):
    coordinator.acquire(AutoExecuteLock(WORLD))
    coordinator.acquire(ExecutionLock(PLAN, WORLD, None, None, 1))
    other.acquire(PlanningLock(PLAN, "world-2"))

    other.delete_world(WORLD)

    assert [str(lock) for lock in other.find_locks()] == [
        f"ExecutionLock execution-plan:{PLAN} of world:{WORLD}",
        f"PlanningLock execution-plan:{PLAN} of world:world-2",
    ]
    assert [world.id for world in other.find_worlds()] == ["world-2"]


# -- locks of plans ----------------------------------------------------------------------------------


def test_the_lock_of_a_plan_follows_its_row(
    store: Store, coordinator: Coordinator, turn: Callable[..., frozenset[str]]
):
    store.save_plan(a_plan())

    turn(claim())
    held = coordinator.execution_lock(PLAN)
    turn(end(state=PlanState.PAUSED))
    released = coordinator.execution_lock(PLAN)
    turn(claim(epoch_read=1))
    again = coordinator.execution_lock(PLAN)

    assert held is not None
    assert again is not None
    assert (held.epoch, released, again.epoch) == (1, None, 2)
