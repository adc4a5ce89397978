"""The in-thread world itself: what it leaves alone, what it refuses, how it ends."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from looking import states
from sqlalchemy import update
from telling_actions import Calls, InSequence, Told, Waits, WakesItself

from dynflow_mp import ConfigError, PlanningError, WorldTerminated
from dynflow_mp.clock import own_time
from dynflow_mp.persistence.tables import actions, steps
from dynflow_mp.testing import InThreadWorld, ManagedClock


def file_of(world):
    return Path(world.config.database_url.removeprefix("sqlite:///"))


def test_it_has_no_threads_and_runs_steps_in_the_calling_one(world):
    seen = []
    Calls.what = lambda action: seen.append((threading.current_thread(), os.getpid()))
    before = threading.enumerate()

    world.run(Calls)

    assert threading.enumerate() == before
    assert seen == [(threading.current_thread(), os.getpid())]


def test_its_database_is_its_own_and_goes_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNFLOW_DATABASE_URL", f"sqlite:///{tmp_path}/production.db")
    with InThreadWorld() as world:
        world.run(Told)
        directory = file_of(world).parent
        assert list(tmp_path.iterdir()) == []
        assert directory.is_dir()

    assert not directory.exists()


def test_a_database_that_was_named_stays(tmp_path):
    url = f"sqlite:///{tmp_path}/mine.db"
    with InThreadWorld(database_url=url) as world:
        plan = world.run(Told)

    with InThreadWorld(database_url=url) as world:
        assert world.persistence.load_execution_plan(plan.id).result == "success"


def test_time_is_the_machines_again_when_it_has_ended():
    with InThreadWorld() as outer:
        with InThreadWorld() as inner:
            assert own_time.get() is inner.clock
        assert own_time.get() is outer.clock
    assert own_time.get() is None


def test_it_ends_once_and_takes_nothing_new():
    world = InThreadWorld()
    assert world.terminate().result() is True
    assert world.terminate().result() is True

    assert world.terminated.is_set()
    with pytest.raises(WorldTerminated):
        world.trigger(Told)


def test_hooks_run_before_it_ends():
    told = []
    with InThreadWorld() as world:
        world.before_termination(lambda: told.append(world.terminated.is_set()))

    assert told == [False]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"workers": 0}, "it needs workers"),
        ({"listen": "tcp://127.0.0.1:5555"}, "no setting 'listen'"),
        ({"wrokers": 2}, "wrokers"),
        ({"workers": -1}, "workers=-1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_leave_nothing(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        InThreadWorld(**settings)

    assert own_time.get() is None


def test_a_planning_error_is_raised_by_run(world):
    with pytest.raises(PlanningError):
        world.run(dict)


def test_ctrl_c_is_for_the_test_and_not_for_the_step(world):
    def interrupt(action):
        raise KeyboardInterrupt

    Calls.what = interrupt

    with pytest.raises(KeyboardInterrupt):
        world.trigger(Calls)
    world.go_on()
    (plan,) = world.persistence.find_execution_plans()
    assert plan.errors[0].exception_class == "KeyboardInterrupt"


def test_a_step_may_trigger_a_plan_of_its_own(world):
    """It is run once the step has come to its end."""
    triggered = []
    Calls.what = lambda action: triggered.append(world.trigger(Told, name="second"))

    first = world.run(Calls)

    second = triggered[0].finished.result()
    assert (first.result, second.result) == ("success", "success")
    assert second.started_at >= first.started_at


def test_callbacks_may_ask_for_more(world):
    chained = []
    triggered = world.trigger(Waits)
    triggered.finished.add_done_callback(lambda future: chained.append(world.trigger(Told)))

    world.event(triggered.id, 2, "finish")
    world.go_on()

    assert chained[0].finished.result().result == "success"


def test_executors_are_found_and_answer_pings(world):
    assert world.ping(world.executor_id).result() is True
    assert world.ping(world.id).result() is True
    assert world.execution_status(world.executor_id).result() == {
        "default": {"pool_size": 1, "free_workers": 1, "queue_size": 0}
    }


def test_killing_leaves_one_living_executor(world):
    world.kill_executor()

    alive = world.coordinator.find_worlds(active_executors_only=True)
    assert [record.id for record in alive] == [world.executor_id]
    assert world.coordinator.lock_holders() == {world.executor_id}


def test_several_queues_have_workers_of_their_own(dynflow_clock):
    with InThreadWorld(workers=2, queues={"slow": 1}, clock=dynflow_clock) as world:
        assert set(world.execution_status(world.executor_id).result()) == {"default", "slow"}
        assert world.clock is dynflow_clock


def test_a_clock_that_starts_elsewhere_shows_in_plans():
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with InThreadWorld(clock=ManagedClock(start)) as world:
        plan = world.run(WakesItself, delay_s=60)

    assert plan.started_at == start
    assert (plan.ended_at - start).total_seconds() == 60


def test_b001_b002_a_step_whose_class_is_gone_fails_and_can_be_looked_at(world):
    plan = world.plan(InSequence, [{"name": "a"}])
    with world.persistence._store.database.write() as connection:
        for table in (steps, actions):
            connection.execute(
                update(table)
                .where(table.c.execution_plan_id == plan.id, table.c.action_class.like("%Told"))
                .values(action_class="shop.RenamedAction")
            )

    plan = world.execute(plan.id).result()

    assert (plan.state, plan.result) == ("paused", "error")
    assert plan.errors[0].exception_class.endswith("UnknownAction")
    assert states(plan, [plan.run_flow]) == ["error"]
    assert [type(action).__name__ for action in plan.actions] == ["InSequence", "RenamedAction"]


class AloneByItsKey(Waits):
    unique_key = "alone"
    unique_mode = "return"


def test_who_was_given_a_plan_of_others_hears_of_its_end(world):
    first, second = world.trigger(AloneByItsKey), world.trigger(AloneByItsKey)
    assert (second.id, second.finished.done()) == (first.id, False)

    world.event(first.id, 2, "finish").result()

    assert second.finished.result().state == "stopped"
