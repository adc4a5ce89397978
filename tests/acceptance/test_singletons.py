"""One plan at a time: of a singleton class, and of a unique key. No lock and no key outlives its plan."""

import pytest
from around_actions import Fans, Guarded, Import, Nightly, Order, Ordinary, Report, Waiting
from watching import lines_of, run, wait_until

from dynflow_mp import AlreadyActive, BadUniqueKey, UniqueKeyTaken
from dynflow_mp.coordinator.records import SingletonActionLock

APPS = ["around_actions"]
pytestmark = pytest.mark.every_database


def locks(world):
    return world.coordinator.find_locks(class_name=SingletonActionLock.__name__)


def suspended(world, triggered):
    plan_id = triggered.id
    wait_until(lambda: any(count.state == "suspended" for count in world.persistence.step_counts(plan_id)))
    (step,) = world.persistence.load_execution_plan(plan_id).run_steps
    return step.id


def wake(world, triggered):
    world.event(triggered.id, suspended(world, triggered), "go").result(20)
    return triggered.finished.result(20)


def keys(world):
    database = world._parts.store.database
    return database.ask(
        lambda connection: [
            row[0] for row in connection.exec_driver_sql("SELECT execution_plan_id FROM dynflow_unique_keys")
        ]
    )


# -- singletons ------------------------------------------------------------------------------------


def test_b200_a_planned_singleton_holds_one_lock_until_it_has_run(world):
    plan = world.plan(Nightly)

    (lock,) = locks(world)
    assert (lock.id, lock.owner_id) == (
        "singleton-action:around_actions.Nightly",
        f"execution-plan:{plan.id}",
    )
    assert Nightly.singleton_locked(world)

    assert world.execute(plan.id).result(20).result == "success"
    assert locks(world) == []
    assert not Nightly.singleton_locked(world)


def test_b202_the_lock_is_kept_while_suspended_and_released_at_the_end(world):
    triggered = world.trigger(Guarded, wait=True)
    suspended(world, triggered)
    assert len(locks(world)) == 1

    plan = wake(world, triggered)

    assert plan.result == "success"
    assert locks(world) == []


def test_b203_a_second_plan_of_the_class_cannot_be_planned(world):
    first = world.plan(Guarded)

    second = world.trigger(Guarded)

    assert isinstance(second.error, AlreadyActive)
    plan = world.persistence.load_execution_plan(second.id)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert "Action Guarded is already active" in str(plan.errors[0])
    assert [lock.plan_id for lock in locks(world)] == [first.id]
    world.execute(first.id).result(20)
    assert locks(world) == []


def test_b204_a_plan_that_lost_its_lock_fails_in_run_while_another_has_it(world):
    first = world.plan(Guarded)
    world.coordinator.release(locks(world)[0])
    third = world.plan(Guarded)

    failed = world.execute(first.id).result(20)

    assert (failed.state, failed.result) == ("paused", "error")
    assert "Action Guarded is already active" in str(failed.errors[0])
    assert world.execute(third.id).result(20).result == "success"
    assert locks(world) == []
    assert world.execute(first.id).result(20).result == "success"
    assert locks(world) == []


def test_b206_a_run_that_fails_releases_the_lock(world):
    plan = run(world, Guarded, fail=True)

    assert (plan.state, plan.result) == ("paused", "error")
    assert locks(world) == []


def test_classes_are_singletons_each_for_itself_and_others_are_never_locked(world):
    nightly, guarded = world.plan(Nightly), world.plan(Guarded)

    assert len(locks(world)) == 2
    assert not Ordinary.singleton_locked(world)
    for plan in (nightly, guarded):
        world.execute(plan.id).result(20)
    assert locks(world) == []


def test_b207_locks_of_plans_that_are_gone_or_over_are_cleaned_up(world):
    active = world.plan(Guarded)
    gone = SingletonActionLock("shop.Gone", "0193f0c5-0000-7000-8000-00000000dead")
    over = SingletonActionLock("shop.Over", run(world, Ordinary).id)
    for lock in (gone, over):
        world.coordinator.acquire(lock)

    world._parts.store.give_up_orphans()

    assert [lock.plan_id for lock in locks(world)] == [active.id]
    world.persistence.delete_execution_plans({"id": active.id})
    assert locks(world) == []


# -- unique keys -----------------------------------------------------------------------------------


def test_a_taken_key_raises_names_the_plan_and_stores_nothing(world):
    first = world.trigger(Order, number=1, wait=True)
    before = world.persistence.count_execution_plans()

    with pytest.raises(UniqueKeyTaken, match=rf"'order-1' is held by plan {first.id}") as refused:
        world.trigger(Order, number=1)

    assert (refused.value.plan_id, refused.value.key) == (first.id, "order-1")
    assert world.persistence.count_execution_plans() == before
    wake(world, first)
    assert run(world, Order, number=1).result == "success"
    assert keys(world) == []


def test_a_paused_plan_keeps_its_key_until_it_is_stopped(world):
    triggered = world.trigger_with_options(Guarded, kwargs={"fail": True}, unique_key="mine")
    assert triggered.finished.result(20).state == "paused"

    with pytest.raises(UniqueKeyTaken):
        world.trigger_with_options(Ordinary, unique_key="mine")

    world.persistence.delete_execution_plans({"id": triggered.id})
    assert world.trigger_with_options(Ordinary, unique_key="mine").finished.result(20).result == "success"


def test_what_has_been_triggered_already_is_returned_and_waited_for(world):
    first = world.trigger(Import, number=2, wait=True)

    again = world.trigger(Import, number=2)

    assert again.id == first.id
    wake(world, first)
    assert again.finished.result(20).result == "success"


def test_a_plan_that_was_only_planned_is_returned_and_run(world):
    first = world.plan(Import, number=3)

    again = world.trigger(Import, number=3)

    assert (again.id, again.finished.result(20).result) == (first.id, "success")


def test_a_plan_that_nobody_runs_is_replaced(world):
    first = world.plan(Report, number=4)

    second = world.trigger(Report, number=4)

    assert second.finished.result(20).result == "success"
    replaced = world.persistence.load_execution_plan(first.id)
    assert (replaced.state, replaced.result) == ("stopped", "pending")
    assert [entry.name for entry in replaced.execution_history] == ["replaced"]
    assert keys(world) == []


def test_a_plan_that_runs_is_not_replaced(world):
    first = world.trigger(Report, number=5, wait=True)
    suspended(world, first)

    with pytest.raises(UniqueKeyTaken, match="it is running"):
        world.trigger(Report, number=5)

    assert wake(world, first).result == "success"


@pytest.mark.parametrize("key", ["", "k" * 256, "ends ", "nul\0"])
def test_a_key_that_cannot_be_kept_is_refused_and_nothing_stored(world, key):
    before = world.persistence.count_execution_plans()

    with pytest.raises(BadUniqueKey):
        world.trigger_with_options(Ordinary, unique_key=key)
    with pytest.raises(BadUniqueKey, match="raise, return, replace"):
        world.trigger_with_options(Ordinary, unique_key="k", on_conflict="hope")
    with pytest.raises(BadUniqueKey, match="number"):
        world.trigger(Order)

    assert world.persistence.count_execution_plans() == before


def test_a_key_of_255_characters_is_kept(world):
    assert world.trigger_with_options(Ordinary, unique_key="k" * 255).finished.result(20).result == "success"


# -- sub-plans -------------------------------------------------------------------------------------


def test_a_sub_plan_that_cannot_have_what_it_is_to_hold_could_not_be_planned(world, tmp_path):
    until = tmp_path / "until"
    triggered = world.trigger(Fans, until=str(until))
    wait_until(
        lambda: world.persistence.count_execution_plans({"caller_execution_plan_id": triggered.id}) == 4
    )
    assert len(locks(world)) == len(keys(world)) == 1

    until.touch()
    parent = triggered.finished.result(60)

    found = [(plan.label, plan.result) for plan in parent.sub_plans()]
    assert sorted(found) == [
        ("Keyed", "error"),
        ("Keyed", "success"),
        ("Waiting", "error"),
        ("Waiting", "success"),
    ]
    assert locks(world) == keys(world) == []
    wait_until(lambda: sorted(lines_of(f"{until}.log")) == ["error", "success"] or None, what="hooks")


def test_a_halted_plan_holds_nothing_any_more(world, tmp_path):
    triggered = world.trigger_with_options(
        Waiting, kwargs={"until": str(tmp_path / "never")}, unique_key="halt me"
    )
    wait_until(lambda: any(count.state == "running" for count in world.persistence.step_counts(triggered.id)))

    world.halt(triggered.id).result(30)

    assert triggered.finished.result(30).state == "stopped"
    assert locks(world) == keys(world) == []
