"""Locks of singletons and unique keys: two plans never hold the same, whatever the timing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from stored_plans import NOW, PLAN, a_plan, claim, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import SingletonActionLock
from dynflow_mp.errors import UniqueKeyTaken
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.store import GuardFailed, Store

Turn = Callable[..., frozenset[str]]
OTHER = plan_id(2)
SINGLETON = {"shop.Child": ActionPolicy(singleton=True)}


def test_a_claim_whose_lock_another_plan_has_is_refused_whole(
    store: Store, turn: Turn, coordinator: Coordinator
):
    store.save_plan(a_plan())
    coordinator.acquire(SingletonActionLock("shop.Child", OTHER))

    with pytest.raises(GuardFailed) as refused:
        turn(claim()._replace(singletons=("shop.Child",)))

    assert refused.value.plan_ids == {PLAN}
    assert store.plan_statuses([PLAN])[PLAN].state is PlanState.PLANNED
    assert coordinator.execution_lock(PLAN) is None


def test_a_claim_finds_its_own_lock(store: Store, turn: Turn, coordinator: Coordinator):
    store.save_plan(a_plan(policies=SINGLETON), requested_at=NOW)

    assert turn(claim()._replace(singletons=("shop.Child",))) == frozenset()
    assert [lock.owner_id for lock in coordinator.find_locks(class_name="SingletonActionLock")] == [
        f"execution-plan:{PLAN}"
    ]


def test_a_skeleton_tells_whose_class_is_taken(store: Store, coordinator: Coordinator):
    store.save_plan(a_plan(policies=SINGLETON))
    assert store.load_skeleton(PLAN).taken == frozenset()

    coordinator.release(SingletonActionLock("shop.Child", PLAN))
    coordinator.acquire(SingletonActionLock("shop.Child", OTHER))

    assert store.load_skeleton(PLAN).taken == {"shop.Child"}


def test_of_plans_stored_at_the_same_time_one_is_active(store: Store, coordinator: Coordinator):
    plans = [a_plan(plan_id(number), policies=SINGLETON) for number in range(1, 7)]

    with ThreadPoolExecutor(6) as threads:
        stored = list(threads.map(store.save_plan, plans))

    assert sorted(plan.state for plan in stored) == ["planned"] + ["stopped"] * 5
    (lock,) = coordinator.find_locks(class_name="SingletonActionLock")
    assert [f"execution-plan:{plan.id}" for plan in stored if plan.state == "planned"] == [lock.owner_id]
    refused = next(plan for plan in stored if plan.state == "stopped")
    assert store.load_plan(refused.id).result is Result.ERROR


def test_of_plans_with_one_key_stored_at_the_same_time_one_is_there(store: Store):
    def store_it(number: int) -> str:
        try:
            return store.save_plan(a_plan(plan_id(number), unique_key="order-1")).id
        except UniqueKeyTaken as taken:
            return f"taken by {taken.plan_id}"

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(store_it, range(1, 7)))

    (stored,) = store.find_execution_plans()
    assert sorted(answers) == sorted([stored.id, *[f"taken by {stored.id}"] * 5])
    assert stored.unique_key == "order-1"


def test_keys_are_compared_letter_by_letter(store: Store):
    for number, key in enumerate(["a", "A", "á", "a\t"], start=1):
        store.save_plan(a_plan(plan_id(number), unique_key=key))

    assert store.count_execution_plans() == 4


def test_a_plan_that_could_not_be_planned_holds_nothing(store: Store, coordinator: Coordinator):
    failed = a_plan(policies=SINGLETON, unique_key="k", state=PlanState.STOPPED, result=Result.ERROR)
    store.save_plan(failed)

    store.save_plan(a_plan(OTHER, policies=SINGLETON, unique_key="k"))

    assert [lock.owner_id for lock in coordinator.find_locks()] == [f"execution-plan:{OTHER}"]


def test_a_class_with_a_long_name_has_a_lock_of_its_own(store: Store, coordinator: Coordinator):
    names = [f"shop.{'very.' * 30}{last}" for last in ("One", "Two")]
    for number, name in enumerate(names, start=1):
        store.save_plan(a_plan(plan_id(number), policies={name: ActionPolicy(singleton=True)}))

    assert len(coordinator.find_locks(class_name="SingletonActionLock")) == 2


def test_orphans_are_given_up_and_what_goes_on_keeps_its_lock(
    store: Store, turn: Turn, coordinator: Coordinator
):
    store.save_plan(a_plan(policies=SINGLETON))
    turn(claim()._replace(singletons=("shop.Child",)))
    coordinator.acquire(SingletonActionLock("shop.Gone", plan_id(9)))

    assert store.give_up_orphans() == 1
    assert [lock.id for lock in coordinator.find_locks(class_name="SingletonActionLock")] == [
        "singleton-action:shop.Child"
    ]
