"""What steps leave behind in their worker, or take along: descriptors, threads, children, forks, hangs."""

import logging
import os
import signal
import textwrap
import time

import psutil
import pytest
from mishap_actions import Mishap, MishapInFinalize, Witness
from unharmed import a_world, assert_unharmed, the_error, worker_of
from watching import alive, lines_of, run, wait_until


@pytest.fixture
def fresh_world(tmp_path):
    """For mishaps that cost a worker."""
    with a_world(tmp_path, workers=2) as world:
        yield world
        assert_unharmed(world, workers=2)


@pytest.fixture
def impatient_world(tmp_path, monkeypatch):
    """One worker that gives the threads and children its steps have left a moment only."""
    (tmp_path / "impatient.py").write_text(
        "from dynflow_mp.executor import strays\nstrays.THREAD_PATIENCE_S = strays.CHILD_PATIENCE_S = 0.3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with a_world(tmp_path, workers=1, apps=["mishap_actions", "impatient"]) as world:
        yield world
        assert_unharmed(world, workers=1)


# -- descriptors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Mishap, MishapInFinalize])
@pytest.mark.parametrize("what", ["close_a_range", "close_a_range_slowly", "close_everything"])
def test_a_step_that_closes_the_worker_s_descriptors_keeps_its_outcome_and_costs_its_worker(
    fresh_world, caplog, kind, what
):
    with caplog.at_level(logging.WARNING, "dynflow"):
        plan = run(fresh_world, kind, what=what)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["pid"] not in fresh_world.worker_pids.values()
    assert "left to be replaced: a step closed descriptors that were not its own" in caplog.text


def test_files_in_the_place_of_the_worker_s_sockets_cost_at_most_the_step(fresh_world):
    plan = run(fresh_world, Mishap, what="put_files_over_sockets")

    assert plan.state in ("paused", "stopped")
    if plan.state == "paused":
        assert the_error(plan).exception_class == "dynflow_mp.errors.WorkerLost"


def test_what_users_modules_did_when_they_were_imported_is_what_every_step_finds(tmp_path, monkeypatch):
    (tmp_path / "at_home.py").write_text(
        textwrap.dedent(
            """
            import decimal, os, signal, sys

            class Tee:
                def write(self, text):
                    return len(text)

                def flush(self):
                    pass

            os.chdir("/")
            os.umask(0o077)
            os.environ = {**os.environ, "SET_BY": "a module"}
            sys.stdout = Tee()
            sys.path.append("/of/the/module")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            decimal.getcontext().prec = 9
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with a_world(tmp_path, workers=1, apps=["mishap_actions", "at_home"]) as world:
        pid = worker_of(world)
        run(world, Mishap, what="change_directory")
        found = run(world, Witness).entry_action.output["found"]

    assert found["pid"] == pid
    assert (found["directory"], found["umask"], found["precision"]) == ("/", 0o077, 9)
    assert found["environment"]["SET_BY"] == "a module"
    assert "/of/the/module" in found["path"]
    assert found["handlers"]["15"] == str(signal.SIG_IGN)
    assert found["streams"] == [True, False, True]


# -- what is left running ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["leave_a_daemon_thread", "use_a_pool_of_threads"])
def test_threads_that_keep_nobody_from_ending_may_stay(impatient_world, what):
    pid = worker_of(impatient_world)

    for action in (Mishap, Witness):
        assert run(impatient_world, action, what=what).result == "success"
        time.sleep(0.4)  # nothing comes to wait for: the worker stays

    assert worker_of(impatient_world) == pid


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("leave_a_thread", "the thread 'forgotten' still runs"),
        ("leave_very_many_threads", "steps left 250 threads behind"),
    ],
)
def test_a_worker_with_threads_that_do_not_end_is_replaced(impatient_world, caplog, what, words):
    pid = worker_of(impatient_world)

    with caplog.at_level(logging.WARNING, "dynflow"):
        plan = run(impatient_world, Mishap, what=what)
        wait_until(lambda: words in caplog.text, what="the worker's reason")

    assert plan.result == "success"
    wait_until(lambda: not alive(pid), what="the old worker's end")


def test_a_dead_child_that_nobody_asks_for_is_taken_away(impatient_world):
    plan = run(impatient_world, Mishap, what="leave_a_dead_child")

    child = plan.entry_action.output["child"]
    wait_until(lambda: not psutil.pid_exists(child), what="the burial")


def test_a_child_a_step_leaves_behind_lives_as_long_as_its_worker(fresh_world):
    output = run(fresh_world, Mishap, what="leave_a_child").entry_action.output
    assert alive(output["child"])

    os.kill(output["pid"], signal.SIGKILL)

    wait_until(lambda: not alive(output["child"]), what="the child's end")


def test_a_child_in_a_session_of_its_own_is_not_ours_to_end(fresh_world):
    output = run(fresh_world, Mishap, what="leave_a_child_in_its_own_session").entry_action.output
    try:
        os.kill(output["pid"], signal.SIGKILL)
        wait_until(lambda: not alive(output["pid"]), what="the worker's end")

        assert alive(output["child"])
    finally:
        os.kill(output["child"], signal.SIGKILL)


@pytest.mark.parametrize("kind", [Mishap, MishapInFinalize])
def test_a_fork_that_comes_back_from_a_step_is_no_second_worker(impatient_world, tmp_path, kind):
    pid = worker_of(impatient_world)

    plan = run(impatient_world, kind, what="fork_and_return_twice", log=str(tmp_path / "log"))

    assert (plan.result, plan.entry_action.output) == ("success", {"pid": pid})
    wait_until(lambda: len(lines_of(tmp_path / "log")) == 2, what="the child's line")
    (child,) = {int(line) for line in lines_of(tmp_path / "log")} - {pid}
    wait_until(lambda: not psutil.pid_exists(child), what="the child's end")
    assert worker_of(impatient_world) == pid


@pytest.mark.parametrize("what", ["fork_and_exit_twice", "use_multiprocessing", "use_asyncio"])
def test_processes_and_loops_of_a_step_s_own_are_its_own(impatient_world, what):
    pid = worker_of(impatient_world)

    plan = run(impatient_world, Mishap, what=what)

    assert plan.result == "success", plan.errors
    assert worker_of(impatient_world) == pid


# -- what stays as it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["patch_what_everybody_uses", "delete_its_module", "spoil_its_class"])
def test_what_a_step_patches_does_not_reach_the_engine(fresh_world, what):
    for _ in range(3):
        plan = run(fresh_world, Mishap, what=what)

        assert plan.result == "success", plan.errors
        assert plan.real_time < 30


def test_an_input_that_is_changed_is_stored_as_it_was(fresh_world):
    plan = run(fresh_world, Mishap, what="change_its_input")

    assert plan.result == "success"
    assert plan.entry_action.input == {"what": "change_its_input"}


# -- what hangs ----------------------------------------------------------------------------------------


def assert_ended_by_its_executor(error, number):
    """Asked, then made to: with which signal is the last that its worker heeded."""
    assert (error.exception_class, error.cause) == ("dynflow_mp.errors.StepStopped", "executor_ended")
    assert error.message.startswith(
        "its executor ended, and the time that running steps had for that was over; "
    )
    assert error.message.endswith(f"was killed by its executor with signal {number:d} ({number.name})")


@pytest.mark.parametrize(
    ("what", "number"), [("ignore_everything", signal.SIGKILL), ("keep_the_interpreter", signal.SIGTERM)]
)
def test_a_step_that_ignores_everything_does_not_keep_its_world_from_ending(tmp_path, what, number):
    begun = tmp_path / "begun"
    with a_world(tmp_path, workers=1) as world:
        triggered = world.trigger(Mishap, what=what, begun=str(begun))
        wait_until(lambda: begun.exists() and begun.read_text(), what="the step's beginning")

        asked_at = time.monotonic()
        world.terminate(0.5).result(30)

    assert time.monotonic() - asked_at < 15
    assert_ended_by_its_executor(the_error(triggered.finished.result(5)), number)
    assert not alive(int(begun.read_text()))


def test_a_supervisor_told_to_end_does_not_wait_for_ever(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor("--grace", "0.5", app="mishap_actions", workers=1)
    begun = tmp_path / "begun"
    triggered = a_client().trigger(Mishap, what="ignore_everything", begun=str(begun))
    wait_until(lambda: begun.exists() and begun.read_text(), what="the step's beginning")

    supervisor.signal(signal.SIGTERM)

    assert supervisor.wait(20) == 0
    assert_ended_by_its_executor(the_error(triggered.finished.result(20)), signal.SIGKILL)
    assert not alive(int(begun.read_text()))
