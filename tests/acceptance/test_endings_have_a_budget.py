"""A world's end takes what it was given and a little more, whatever hangs; and it says what was left."""

import signal
import sqlite3
import threading
import time

import pytest
from ending_actions import Counted, Deaf, Tidies, TidiesIdempotently
from engine_actions import Held, Noop
from watching import alive, lines_of, run, wait_until

from dynflow_mp import World
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.world.budget import RESERVE_S

BUSY_MACHINE_S = 15
"""What a machine that does other things may add; without an end to waiting it would be minutes."""


@pytest.fixture
def make_world(database_url):
    """Make worlds; those the test leaves running are terminated at the end."""
    worlds = []

    def make(**settings):
        worlds.append(World(database_url=database_url, apps=["engine_actions", "ending_actions"], **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.terminate(timeout=0.0).result(60)


def begun(world, action, tmp_path):
    log = tmp_path / "log"
    triggered = world.trigger(action, log=str(log))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    return triggered, log


# -- running steps ---------------------------------------------------------------------------------------


def test_g24_steps_whose_time_is_over_are_told_to_end_before_they_are_killed(make_world, tmp_path):
    world, watcher = make_world(workers=1, drain_grace_s=0.1), make_world()
    triggered, log = begun(world, Tidies, tmp_path)

    assert world.terminate().result(60) is True

    assert lines_of(log)[1:] == ["tidied"]
    step = watcher.persistence.load_execution_plan(triggered.id).steps[2]
    assert (step.state, step.error.cause) == ("error", "executor_ended")
    assert step.error.exception_class == "dynflow_mp.errors.StepStopped"
    assert "its executor ended" in step.error.message


def test_g24_a_step_that_does_not_listen_is_killed(make_world, tmp_path):
    world, watcher = make_world(workers=1, drain_grace_s=0.1), make_world()
    triggered, _ = begun(world, Deaf, tmp_path)

    assert world.terminate().result(60) is True

    step = watcher.persistence.load_execution_plan(triggered.id).steps[2]
    assert (step.state, step.error.cause) == ("error", "executor_ended")
    assert "SIGTERM" in step.error.message or "SIGKILL" in step.error.message


def test_g24_an_idempotent_step_that_was_told_to_end_goes_on_elsewhere(make_world, tmp_path):
    """It did nothing wrong: as if its executor had been killed."""
    world = make_world(workers=1, drain_grace_s=0.1, eligible=True)
    client = make_world(no_executor_timeout_s=60, reask_interval_s=0.3)
    triggered, log = begun(client, TidiesIdempotently, tmp_path)

    assert world.terminate().result(60) is True
    make_world(workers=1, eligible=True)

    assert triggered.finished.result(60).result == "success"
    assert [line.split()[0] for line in lines_of(log)] == ["begun", "tidied", "begun", "tidied"]


def test_g24_the_budget_goes_before_the_grace(make_world, tmp_path):
    world = make_world(workers=1, drain_grace_s=600, termination_timeout_s=1)
    begun(world, Tidies, tmp_path)
    began = time.monotonic()

    assert world.terminate().result(60) is True

    assert time.monotonic() - began < 1 + RESERVE_S + BUSY_MACHINE_S


def test_g24_a_drain_in_the_middle_of_a_hundred_steps_loses_none_and_runs_none_twice(
    start_supervisor, a_client, tmp_path, quick_to_look
):
    """Those that were sent and not begun go back; the client's future ends as if nothing had happened."""
    first, client = start_supervisor(app="ending_actions"), a_client()
    log = tmp_path / "log"
    triggered = client.trigger(Counted, 100, log=str(log))
    wait_until(lambda: len(lines_of(log)) >= 10, 60, "the first ten")

    first.signal(signal.SIGTERM)
    assert first.output(60)[0] == 0
    ran = len(lines_of(log))
    start_supervisor(app="ending_actions")

    plan = triggered.finished.result(60)
    assert plan.result == "success"
    assert {step.attempts for step in plan.run_steps} == {1}
    assert sorted(map(int, lines_of(log))) == list(range(100))
    assert 10 <= ran < 100


# -- what hangs ------------------------------------------------------------------------------------------


class Stuck(DirectConnector):
    """Its end never comes."""

    def __init__(self):
        super().__init__()
        self.over = threading.Event()

    def stop_listening(self, receiver):
        self.over.wait()
        super().stop_listening(receiver)


def test_g24_a_hook_a_callback_and_a_connector_that_hang_are_left_behind(make_world, caplog, monkeypatch):
    monkeypatch.setattr("dynflow_mp.world.ending.CLOSE_S", 1.5)
    connector = Stuck()
    world, watcher = make_world(workers=1, connector=connector), make_world()
    world.before_termination(connector.over.wait)
    world.trigger(Noop).finished.add_done_callback(lambda _: connector.over.wait())
    workers = world.worker_pids
    began = time.monotonic()

    ended = world.terminate(timeout=1.0).result(60)

    assert time.monotonic() - began < 1 + RESERVE_S + BUSY_MACHINE_S
    assert ended is False
    assert [left.split(":")[0] for left in world.left_behind] == [
        "before_termination hook Event.wait",
        "close connector",
    ]
    assert "a callback blocks" in caplog.text
    assert workers
    assert watcher.coordinator.find_worlds(id=world.id) == []
    connector.over.set()


@pytest.mark.chaos
def test_g24_sigterm_while_the_database_is_away_ends_in_time_and_says_what_was_left(
    start_supervisor, a_client, database_url, tmp_path, monkeypatch
):
    """Its plans are not lost: they stay as they were, as those of one that was killed."""
    monkeypatch.setenv("DYNFLOW_TERMINATION_TIMEOUT_S", "1")
    supervisor, client = start_supervisor(workers=1), a_client()
    log, go = tmp_path / "log", tmp_path / "go"
    held = client.trigger(Held, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    workers = supervisor.descendants()
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    go.touch()
    began = time.monotonic()

    supervisor.signal(signal.SIGTERM)
    status, _, said = supervisor.output(60)

    assert time.monotonic() - began < 1 + RESERVE_S + BUSY_MACHINE_S
    assert status == 1
    assert "dynflow_mp: not all has ended: drain: " in said
    wait_until(lambda: not [pid for pid in workers if alive(pid)], what="the workers' end")
    other.execute("ROLLBACK")
    other.close()
    plan = client.persistence.load_execution_plan(held.id)
    assert (plan.state, plan.steps[2].state) == ("running", "running")  # whoever finds it gone takes it over


# -- who else sees it ------------------------------------------------------------------------------------


def test_g24_one_that_drains_is_given_nothing_new_and_its_clients_go_on_elsewhere(make_world, tmp_path):
    draining, client = make_world(workers=1, eligible=True), make_world(no_executor_timeout_s=60)
    log, go = tmp_path / "log", tmp_path / "go"
    held = client.trigger(Held, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    other = make_world(workers=1, eligible=True)
    wait_until(lambda: client.ping(other.id).result(20), what="the connection")

    ending = draining.terminate()
    wait_until(
        lambda: [record.state for record in client.coordinator.find_worlds(id=draining.id)] == ["draining"],
        what="draining",
    )
    plans = [run(client, Noop) for _ in range(5)]
    assert not ending.done()
    go.touch()

    assert {plan.execution_history[0].world_id for plan in plans} == {other.id}
    assert held.finished.result(60).result == "success"
    assert ending.result(60) is True


# -- asked twice, from anywhere --------------------------------------------------------------------------


def test_a_callback_may_wait_for_the_end_of_its_world(make_world):
    """It keeps the very thread from ending that resolves futures."""
    world, ended = make_world(workers=1), []

    world.trigger(Noop).finished.add_done_callback(lambda _: ended.append(world.terminate().result(60)))

    wait_until(lambda: ended, 60, "the end")
    assert ended == [True]


def test_termination_asked_for_again_with_less_time_hurries(make_world, tmp_path):
    world = make_world(workers=1, drain_grace_s=600, termination_timeout_s=1200)
    begun(world, Deaf, tmp_path)
    ending = world.terminate()
    began = time.monotonic()

    assert world.terminate(timeout=0.0) is ending

    assert ending.result(60) is True
    assert time.monotonic() - began < RESERVE_S + BUSY_MACHINE_S
