"""What a world says about itself, and how it ends (worlds §19: World, Executor – termination)."""

import os
import socket
import subprocess
import sys
import threading

import pytest
from engine_actions import Evented, NeedsFile, Noop, Ordered
from watching import lines_of, run, wait_until

from dynflow_mp import World
from dynflow_mp.errors import RequestTimeout, UnknownReceiver, WorldTerminated


@pytest.fixture
def make_world(database_url):
    """Make worlds; those the test leaves running are terminated at the end."""
    worlds = []

    def make(**settings):
        worlds.append(World(database_url=database_url, apps=["engine_actions"], **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.terminate(timeout=0.0).result(30)


def record_of(watcher, world):
    (record,) = watcher.coordinator.find_worlds(id=world.id)
    return record


def history(plan):
    return [(entry.name, entry.world_id) for entry in plan.execution_history]


# -- the record ------------------------------------------------------------------------------------


def test_worlds_16_a_worlds_record_says_host_and_process_and_queues(make_world):
    """Core B391."""
    world = make_world(workers=1, queues={"slow": 1})

    meta = record_of(world, world).meta

    assert (meta["hostname"], meta["pid"]) == (socket.gethostname(), os.getpid())
    assert meta["queues"] == {"default": 1, "slow": 1}


def test_worlds_17_a_worlds_record_says_what_it_was_told_to(make_world):
    world = make_world(meta={"rack": 7})

    meta = record_of(world, world).meta

    assert meta["rack"] == 7
    assert not {"hostname", "pid"} & meta.keys()


# -- the end ---------------------------------------------------------------------------------------


def test_worlds_19_a_world_is_terminated_once_it_was_told_to_and_not_before(make_world):
    world = make_world(workers=1)
    assert not world.terminated.is_set()

    world.terminate()

    assert world.terminated.wait(10)


def test_worlds_95_hooks_run_before_anything_is_closed(make_world):
    """Core B351."""
    world = make_world()
    seen = []
    world.before_termination(lambda: seen.append(world.coordinator.find_worlds(id=world.id) != []))

    world.terminate().result(10)

    assert seen == [True]


def test_worlds_96_a_hook_that_raises_stops_no_other(make_world, caplog):
    """Core B351: 1, 2, 3 run, 2 failed."""
    world = make_world()
    ran = []

    def fail():
        ran.append(2)
        raise ValueError("the second hook")

    for hook in (lambda: ran.append(1), fail, lambda: ran.append(3)):
        world.before_termination(hook)
    world.terminate().result(10)

    assert ran == [1, 2, 3]
    assert "before_termination hook failed" in caplog.text


def test_worlds_97_a_world_that_has_ended_takes_nothing_new(make_world):
    """Core B352; nothing is planned either: a world that has ended has no database any more."""
    world = make_world(workers=1)
    world.terminate().result(20)

    with pytest.raises(WorldTerminated):
        world.trigger(Noop)


def test_worlds_99_terminating_twice_in_a_row_works(make_world):
    world = make_world(workers=1)

    assert world.terminate().result(20) is True
    assert world.terminate().result(20) is True


def test_worlds_100_concurrent_terminations_are_all_true(make_world):
    world = make_world(workers=1)
    results = []

    def terminate():
        results.append(world.terminate().result(20))

    threads = [threading.Thread(target=terminate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert results == [True, True]


def test_b350_termination_waits_for_the_running_step_and_begins_no_other(make_world, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    world, watcher = make_world(workers=1), make_world()
    held = ("Held", {"log": str(log), "until": str(go)})
    triggered = world.trigger(Ordered, [held, ("Noop", {})])
    wait_until(lambda: lines_of(log), what="the step's beginning")

    termination = world.terminate()
    wait_until(lambda: record_of(watcher, world).state == "draining", what="draining")
    assert not termination.done()
    go.touch()

    assert termination.result(20) is True
    plan = watcher.persistence.load_execution_plan(triggered.id)
    assert (plan.state, plan.result) == ("paused", "pending")
    assert [step.state for step in plan.run_steps] == ["success", "pending"]


def test_b350_b355_a_suspended_plan_nobody_takes_over_is_paused_and_pending(make_world):
    """Its future ends; the plan stays requested."""
    world, watcher = make_world(workers=1), make_world()
    triggered = world.trigger(Evented)
    wait_until(
        lambda: watcher.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended",
        what="the suspension",
    )

    world.terminate().result(20)

    with pytest.raises(WorldTerminated):
        triggered.finished.result(1)
    plan = watcher.persistence.load_execution_plan(triggered.id)
    assert (plan.state, plan.result) == ("paused", "pending")
    assert history(plan) == [("start execution", world.id), ("terminate execution", world.id)]


def test_b358_auto_execute_takes_up_what_was_planned_or_left_and_no_plan_with_an_error(make_world, tmp_path):
    """Worlds 53."""
    first, client = make_world(workers=1), make_world()
    failed = run(first, NeedsFile, path=str(tmp_path / "missing"))
    left = first.trigger(Evented)
    wait_until(
        lambda: client.persistence.load_execution_plan(left.id).steps[2].state == "suspended",
        what="the suspension",
    )
    first.terminate().result(20)
    planned = client.plan(Noop)
    second = make_world(workers=1)

    futures = second.auto_execute()
    wait_until(
        lambda: client.persistence.load_execution_plan(left.id).steps[2].attempts == 2, what="the resumption"
    )
    second.event(left.id, 2, "finish").result(10)

    assert {future.result(10).id: future.result(10).result for future in futures} == {
        left.id: "success",
        planned.id: "success",
    }
    assert history(client.persistence.load_execution_plan(left.id)) == [
        ("start execution", first.id),
        ("terminate execution", first.id),
        ("start execution", second.id),
        ("finish execution", second.id),
    ]
    assert client.persistence.load_execution_plan(failed.id).state == "paused"


def test_a_ping_of_a_client_world_says_whether_its_record_stands(a_client, database_url):
    asking, asked = a_client(), a_client()

    assert asking.ping(asked.id, 0.5).result(5) is True

    asked.terminate().result(20)
    with pytest.raises(UnknownReceiver):
        asking.ping(asked.id, 0.5).result(10)


def test_a_ping_of_a_client_whose_process_was_killed_fails(a_client, database_url):
    asking = a_client()
    program = f"from dynflow_mp import World; w = World(database_url={database_url!r}); print(w.id, flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    world_id = other.stdout.readline().strip()
    assert asking.ping(world_id, 0.5).result(5) is True

    other.kill()
    other.communicate(timeout=10)

    with pytest.raises(RequestTimeout):
        asking.ping(world_id, 0.5).result(10)
