"""Worlds that are used wrongly, or whose surroundings fail: a specific error at once, and no future left open."""

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import databases
import pytest
from engine_actions import Chain, Held, Noop
from leftovers import nothing_left
from watching import lines_of, run, wait_until

from dynflow_mp import World
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.errors import (
    BadArgument,
    ConfigError,
    NoExecutor,
    PlanningError,
    PlanNotFound,
    UnprocessableEvent,
    WorldTerminated,
)

HERE = Path(__file__).parent
UNKNOWN = "0198c3f0-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch):
    with nothing_left(monkeypatch):
        yield


@pytest.fixture
def make_world(database_url):
    """Make worlds; those the test leaves running are terminated at the end."""
    worlds = []

    def make(**settings):
        settings.setdefault("database_url", database_url)
        worlds.append(World(apps=["engine_actions"], **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.terminate(timeout=0.0).result(60)


def run_program(tmp_path, body, seconds=90):
    """A program of somebody's: its exit status, what it printed, and what it said on standard error."""
    start = f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        from engine_actions import *
        from dynflow_mp import World
        url = "sqlite:///{tmp_path}/plans.db"
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(start) + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=seconds, cwd=tmp_path
    )
    return done.returncode, done.stdout, done.stderr


# -- what a world is made with, and asked with ---------------------------------------------------------


def test_an_unknown_setting_is_refused_with_the_nearest_match():
    with pytest.raises(ConfigError, match="unknown setting 'worker'; did you mean 'workers'"):
        World(worker=2)


def test_a_world_is_not_made_of_a_url():
    with pytest.raises(ConfigError, match="takes a Config or keywords"):
        World("sqlite:///shop.db")


BAD_SPANS = (-1, float("nan"), float("inf"), "5", True)


@pytest.mark.parametrize("span", [*BAD_SPANS, None])
def test_a_time_that_is_no_time_is_refused_at_once(world, span):
    for ask in (world.ping, world.execution_status):
        with pytest.raises(BadArgument, match=r"timeout=.*seconds from 0"):
            ask(world.id, timeout=span)

    assert world.ping(world.id).result(20) is True


@pytest.mark.parametrize("span", BAD_SPANS)
def test_a_delay_or_a_termination_that_is_no_time_is_refused_at_once(world, span):
    with pytest.raises(BadArgument, match="delay_s="):
        world.event(UNKNOWN, 2, "late", delay_s=span)
    with pytest.raises(BadArgument, match="timeout="):
        world.terminate(timeout=span)

    assert run(world, Noop).result == "success"


@pytest.mark.parametrize("plan_id", ["x", "", "\0", "ü", "a" * 10_000, UNKNOWN])
def test_a_plan_that_is_not_stored_is_not_found(world, plan_id):
    with pytest.raises(PlanNotFound):
        world.persistence.load_execution_plan(plan_id)
    with pytest.raises(PlanNotFound):
        world.execute(plan_id).result(20)
    with pytest.raises((PlanNotFound, UnprocessableEvent)):
        world.event(plan_id, 2, "x").result(20)


@pytest.mark.parametrize("plan_id", [None, 5, b"x", SimpleNamespace(id="x")])
def test_what_is_no_plan_id_is_refused_at_once(world, plan_id):
    for ask in (
        world.execute,
        world.persistence.load_execution_plan,
        lambda given: world.event(given, 2, "x"),
    ):
        with pytest.raises(BadArgument, match="a plan id is a text"):
            ask(plan_id)


@pytest.mark.parametrize("step_id", [None, "2", 2.5, 0, -1, 10**30, True])
def test_what_is_no_step_is_refused_at_once(world, step_id):
    with pytest.raises(BadArgument, match="step_id="):
        world.event(UNKNOWN, step_id, "x")


@pytest.mark.parametrize("action", [int, "Noop", None, Noop])
def test_only_action_classes_are_triggered_and_only_under_uuids(world, action):
    with pytest.raises(PlanningError):
        world.plan_with_options(action, id="my plan" if action is Noop else None)


def test_a_plan_of_another_database_is_not_found(make_world, tmp_path):
    here = make_world()
    there = make_world(database_url=f"sqlite:///{tmp_path / 'other.db'}")
    plan = there.plan(Noop)

    with pytest.raises(PlanNotFound, match=plan.id):
        here.execute(plan.id).result(20)


# -- a world that has ended ----------------------------------------------------------------------------


def test_a_world_that_has_ended_refuses_everything_at_once(make_world):
    world = make_world(workers=1)
    plan = world.plan(Noop)
    world.terminate().result(30)

    for ask in (
        lambda: world.trigger(Noop),
        lambda: world.plan(Noop),
        lambda: world.execute(plan.id),
        lambda: world.event(plan.id, 2, "x"),
        lambda: world.ping(world.id),
        lambda: world.execution_status(world.id),
        lambda: world.auto_execute(),
        lambda: world.invalidate(UNKNOWN),
        lambda: world.validity_check(),
    ):
        with pytest.raises(WorldTerminated, match=world.id):
            ask()
    assert world.persistence.load_execution_plan(plan.id).state == "planned"


def test_a_callback_of_a_future_may_trigger_and_terminate(make_world):
    world = make_world(workers=1)
    ended = threading.Event()
    second = []

    def after_first(first):
        second.append(world.trigger(Noop))
        second[0].finished.add_done_callback(after_second)

    def after_second(finished):
        world.terminate().add_done_callback(lambda _: ended.set())

    world.trigger(Noop).finished.add_done_callback(after_first)

    assert ended.wait(60)
    assert second[0].finished.result(0).result == "success"
    assert world.terminated.is_set()


def test_a_world_may_be_terminated_from_other_threads_and_hooks_at_the_same_time(make_world):
    world = make_world(workers=1)
    world.before_termination(lambda: world.terminate())
    threads = [threading.Thread(target=world.terminate) for _ in range(5)]

    for thread in threads:
        thread.start()

    assert world.terminate().result(60) is True
    for thread in threads:
        thread.join(30)


def test_a_body_that_raises_ends_its_world_and_keeps_its_error(make_world):
    world = make_world(workers=1)

    with pytest.raises(KeyError, match="price"), world:
        raise KeyError("price")

    assert world.terminated.is_set()


def test_requests_that_are_open_when_the_world_ends_fail_and_say_so(make_world, tmp_path):
    world = make_world(workers=1)
    log = tmp_path / "log"
    held = world.trigger(Held, log=str(log), until=str(tmp_path / "never"))
    waiting = [world.trigger(Noop) for _ in range(20)]
    wait_until(lambda: lines_of(log), what="the step's beginning")

    world.terminate(timeout=0.0).result(60)

    for triggered in (held, *waiting):
        assert triggered.finished.done()
        error = triggered.finished.exception(0)
        assert error is None or isinstance(error, WorldTerminated)


# -- other places to ask from --------------------------------------------------------------------------


def test_a_forked_child_is_told_so_and_leaves_its_parent_alone(tmp_path):
    status, out, err = run_program(
        tmp_path,
        """
        import os
        from dynflow_mp.errors import ForkedWorld
        with World(database_url=url, workers=1) as world:
            before = world.trigger(Noop)
            before.finished.result(30)
            child = os.fork()
            if child == 0:
                refused = 0
                for ask in (lambda: world.trigger(Noop), lambda: world.plan(Noop), lambda: world.terminate(),
                            lambda: world.execute(before.id), lambda: world.event(before.id, 2, "x"),
                            lambda: world.persistence.load_execution_plan(before.id),
                            lambda: world.coordinator.find_worlds()):
                    try:
                        ask()
                    except ForkedWorld:
                        refused += 1
                sys.exit(refused)  # leaves the with block, and runs the exit handlers
            print("refused", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            print(world.trigger(Chain, 3).finished.result(30).result, len(world.coordinator.find_worlds()))
        """,
    )

    assert (status, out, err) == (0, "refused 7\nsuccess 1\n", "")


@pytest.mark.parametrize("kind", databases.KINDS)
def test_a_forked_child_s_end_does_not_touch_its_parent_s_connections(kind, tmp_path):
    databases.require(kind)
    with databases.fresh_database(kind, tmp_path) as url:
        status, out, err = run_program(
            tmp_path,
            f"""
            import gc, os
            with World(database_url={url!r}) as world:
                plan = world.plan(Noop)
                child = os.fork()
                if child == 0:
                    del world, plan
                    gc.collect()
                    sys.exit(0)
                os.waitpid(child, 0)
                print(world.persistence.load_execution_plan(plan.id).state, world.plan(Noop).state)
            """,
        )

    assert (status, out, err) == (0, "planned planned\n", "")


def test_worlds_that_were_closed_leave_nothing_and_are_not_remembered(tmp_path):
    """A program may open and close worlds for as long as it lives."""
    status, out, err = run_program(
        tmp_path,
        """
        import gc, os, threading, weakref
        gone = []
        def open_and_close(times):
            for number in range(times):
                with World(database_url=url, connector=("auto", "direct", "database")[number % 3]) as world:
                    gone.append(weakref.ref(world))
            del world
            alive = [one for one in gone if gc.collect() and one() is not None]
            gone.clear()
            held = len(os.listdir("/proc/self/fd")), threading.active_count()
            return held, len(alive), len(gc.get_objects())
        held, alive, objects = open_and_close(9)
        held_then, alive_then, objects_then = open_and_close(30)
        print(held_then == held, alive, alive_then, objects_then - objects < 30)
        """,
    )

    assert (status, out, err) == (0, "True 0 0 True\n", "")


def test_a_signal_handler_may_trigger_and_is_told_when_it_cannot(tmp_path):
    """It comes in the middle of anything the main thread does; what it waits for would never come."""
    status, out, err = run_program(
        tmp_path,
        """
        import signal, time
        from dynflow_mp.errors import PersistenceError
        futures, refused = [], []

        def handle(number, frame):
            try:
                futures.append(world.trigger(Noop).finished)
            except PersistenceError as error:
                refused.append(str(error))

        with World(database_url=url, workers=1) as world:
            signal.signal(signal.SIGALRM, handle)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            until = time.monotonic() + 1
            while time.monotonic() < until:
                futures.append(world.trigger(Noop).finished)
            signal.setitimer(signal.ITIMER_REAL, 0)
            print({str(future.result(60).result.value) for future in futures})
            print({"have the handler leave a note" in text for text in refused} <= {True})
        """,
    )

    assert (status, out, err) == (0, "{'success'}\nTrue\n", "")


def test_a_program_that_ends_while_a_plan_runs_ends_in_time_and_the_plan_stays(tmp_path):
    status, out, err = run_program(
        tmp_path,
        f"""
        world = World(database_url=url, workers=1, drain_grace_s=0.2)
        triggered = world.trigger(Held, log="{tmp_path}/log", until="never")
        import os, time
        while not os.path.exists("{tmp_path}/log"):
            time.sleep(0.01)
        print(triggered.id)
        """,
    )

    assert (status, err) == (0, "")
    with World(database_url=f"sqlite:///{tmp_path}/plans.db") as world:
        plan = world.persistence.load_execution_plan(out.strip())
        assert (plan.state, plan.result) == ("paused", "error")


def test_thousands_of_triggers_in_a_loop_are_all_answered(make_world):
    world = make_world(workers=2)

    triggered = [world.trigger(Noop) for _ in range(2_000)]

    assert {each.finished.result(100).result for each in triggered} == {"success"}
    assert len({each.id for each in triggered}) == 2_000


def test_a_client_that_asks_again_and_again_gets_each_plan_s_end(make_world, monkeypatch):
    """A repeat may be read before its plan has run and heard after: that plan is not claimed a second time."""
    monkeypatch.setitem(ClientDispatcher.__init__.__kwdefaults__, "accept_timeout_s", 0.02)
    world = make_world(workers=2)

    triggered = [world.trigger(Noop) for _ in range(500)]

    assert {each.finished.result(100).result for each in triggered} == {"success"}


# -- executors -----------------------------------------------------------------------------------------


@pytest.mark.every_database(in_chaos=(databases.POSTGRESQL, databases.MYSQL))
def test_without_an_executor_the_future_fails_in_time_and_the_plan_runs_when_one_comes(
    a_client, start_supervisor
):
    client = a_client(no_executor_timeout_s=0.5)

    triggered = client.trigger(Chain, 3)

    with pytest.raises(NoExecutor, match="it stays requested and runs when one comes"):
        triggered.finished.result(20)
    assert client.persistence.load_execution_plan(triggered.id).state == "planned"
    supervisor = start_supervisor(workers=1)
    wait_until(
        lambda: client.persistence.load_execution_plan(triggered.id).state == "stopped", 40, "the plan's end"
    )
    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0


def test_two_supervisors_work_on_one_database_and_one_goes_on_without_the_other(start_supervisor, a_client):
    # A socket in a directory would be left there until another supervisor starts a minute later.
    supervisors = [start_supervisor("--listen", "tcp://127.0.0.1:*", workers=1) for _ in range(2)]
    client = a_client(no_executor_timeout_s=30)
    plans = [client.trigger(Chain, 5) for _ in range(20)]

    assert {each.finished.result(60).result for each in plans} == {"success"}
    executors = {record.id for record in client.coordinator.find_worlds(executor=True)}
    assert executors == {supervisor.world_id for supervisor in supervisors}
    assert {owner_of(client, plan.id) for plan in plans} == executors

    supervisors[0].signal(signal.SIGKILL)
    supervisors[0].wait()

    assert {client.trigger(Noop).finished.result(60).result for _ in range(5)} == {"success"}
    supervisors[1].signal(signal.SIGTERM)
    assert supervisors[1].wait() == 0


def owner_of(client, plan_id):
    plan = client.persistence.load_execution_plan(plan_id)
    return plan.execution_history[0].world_id
