"""Hooks: called in a worker for each state that was stored, at least once, whatever they do."""

import os
import signal

import pytest
from around_actions import Family, HookHeld, Kills, Raises, Silenced, Watched, Wrapped
from watching import Supervisor, alive, lines_of, run, wait_until

from dynflow_mp import World

APPS = ["around_actions"]


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "log")


def logged(log, count):
    """The lines once there are so many, and no more call is noted."""
    wait_until(lambda: len(lines_of(log)) >= count, what=f"line {count} of {lines_of(log)}")
    return lines_of(log)


def no_more_calls(world):
    def none():
        with world._parts.store.database.read() as connection:
            return not connection.exec_driver_sql("SELECT 1 FROM dynflow_hook_calls").fetchall()

    wait_until(none, what="the last call")


@pytest.mark.every_database
def test_b250_b257_a_hook_without_kinds_is_called_for_each_state_and_others_for_the_end(world, tmp_path):
    log = str(tmp_path / "log")
    run(world, Watched, log=log)
    no_more_calls(world)

    assert lines_of(log) == [
        "pending pending",
        "planning pending",
        "planned pending",
        "running pending",
        "stopped success",
        "end success",
    ]


def test_b251_a_hook_for_paused_is_called_and_again_after_each_attempt(world, log, tmp_path):
    mended = tmp_path / "mended"
    plan = run(world, Watched, log=log, fail=str(mended))
    assert logged(log, 5)[4:] == ["paused error"]

    mended.touch()
    world.execute(plan.id).result(20)

    no_more_calls(world)
    assert lines_of(log)[5:] == ["running pending", "stopped success", "end success"]


def test_a_plan_that_cannot_be_planned_has_failed(world, log):
    assert world.trigger(Watched, log=log, cannot=True).error is not None

    no_more_calls(world)
    # Nothing was planned, so the input has no log to write to: the calls were made, and failed by themselves.
    assert lines_of(log) == []


def test_b253_a_hook_that_raises_changes_nothing_for_the_plan_or_other_hooks(world, log):
    plan = run(world, Raises, log=log)

    no_more_calls(world)
    assert plan.result == "success"
    assert lines_of(log)[-2:] == ["stopped success", "end success"]


def test_b254_a_derived_class_inherits_hooks_and_has_none_that_it_overrides(world, log):
    run(world, Silenced, log=log)

    no_more_calls(world)
    assert lines_of(log) == ["end success"]


def test_b255_hooks_of_every_action_are_called_and_may_ask_whether_it_is_the_root(world, log):
    run(world, Family, log=log)

    no_more_calls(world)
    assert sorted(lines_of(log)) == ["child", "child", "root has no output"]


def test_middleware_stands_around_the_hooks_of_an_action(world, log):
    run(world, Wrapped, log=log)

    no_more_calls(world)
    assert lines_of(log) == ["before stopped", "told", "after"]


def test_a_hook_that_takes_its_worker_with_it_is_given_up_and_the_next_is_called(world, log):
    plan = run(world, Kills, log=log, timeout=60)

    assert plan.result == "success"
    assert logged(log, 1) == ["after"]
    no_more_calls(world)


def test_calls_that_a_killed_executor_left_are_made_by_another(database_url, log):
    with World(database_url=database_url) as client:
        client.plan(Watched, log=log)
        dead = Supervisor(database_url, app="around_actions", workers=1)
        try:
            dead.wait_ready()
            logged(log, 3)
            # Noted by one that dies before it calls: as if it had taken the calls and been killed.
            with client._parts.store.database.write() as connection:
                for plan in client.persistence.find_execution_plans():
                    connection.exec_driver_sql(
                        "INSERT INTO dynflow_hook_calls (execution_plan_id, id, kinds, noted_at, owner_id) "
                        "SELECT id, 9, X'9391A772756E6E696E67A772756E6E696E67A770656E64696E67', 1, "
                        f"'{dead.world_id}' FROM dynflow_execution_plans WHERE id = '{plan.id}'"
                    )
            os.killpg(dead.process.pid, signal.SIGKILL)
            wait_until(lambda: not alive(dead.process.pid))
        finally:
            dead.close()
        heir = Supervisor(database_url, app="around_actions", workers=1)
        try:
            heir.wait_ready()
            assert logged(log, 4)[3:] == ["running pending"]
        finally:
            heir.close()


def test_a_hook_that_an_ending_executor_interrupts_is_called_by_another(
    monkeypatch, start_supervisor, a_client, log, tmp_path
):
    """Told to end, it fails; that is nothing it did, so its call is not over."""
    monkeypatch.setenv("DYNFLOW_DRAIN_GRACE_S", "0.5")
    monkeypatch.setenv("DYNFLOW_RECONCILE_INTERVAL_S", "0.3")
    go = tmp_path / "go"
    first, client = start_supervisor(app="around_actions", workers=1), a_client()
    client.trigger(HookHeld, log=log, until=str(go))
    logged(log, 1)

    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    assert lines_of(log) == ["begun"]

    go.touch()
    start_supervisor(app="around_actions", workers=1)
    assert logged(log, 3) == ["begun", "begun", "done"]
    no_more_calls(client)
