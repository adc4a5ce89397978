"""Supervisors that are killed or stand still: others take their plans over, whoever waits hears of it."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import wait

import databases
import psutil
import pytest
from recovery_actions import Evented, HeldThenNoop, Noop, SeveralCounted
from watching import HERE, alive, kill, lines_of, run, wait_until

from dynflow_mp import World
from dynflow_mp.errors import AbnormalTermination, NoExecutor
from dynflow_mp.persistence.database import write_locks
from dynflow_mp.persistence.stays import is_inside

ABNORMAL = "abnormal termination (previous state: running)"


pytestmark = pytest.mark.usefixtures("quick_to_look")


@pytest.fixture
def supervisor(start_supervisor):
    def start(**keywords):
        return start_supervisor(app="recovery_actions", **keywords)

    return start


def history(plan):
    return [(entry.name, entry.world_id) for entry in plan.execution_history]


def steps_in(client, plan_id, state):
    steps = client.persistence.load_execution_plan(plan_id).steps.values()
    return [step for step in steps if step.phase == "run" and step.state == state]


def held_plan(client, tmp_path):
    """A plan whose first step holds a worker until ``go`` is there, and that file."""
    log, go = tmp_path / "log", tmp_path / "go"
    triggered = client.trigger(HeldThenNoop, str(log), str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    return triggered, go


def suspended_plan(client):
    triggered = client.trigger(Evented)
    wait_until(lambda: steps_in(client, triggered.id, "suspended"), what="the suspension")
    return triggered


@pytest.mark.every_database(in_chaos=(databases.POSTGRESQL,))
def test_g13_a_step_that_ran_when_its_supervisor_was_killed_is_an_error_and_can_be_resumed(
    supervisor, a_client, tmp_path
):
    """The next supervisor looks at once; the future of before ends with the paused plan."""
    first = supervisor()
    client = a_client()
    triggered, go = held_plan(client, tmp_path)

    kill(first)
    second = supervisor()
    plan = triggered.finished.result(10)

    assert (plan.state, plan.result) == ("paused", "error")
    (failed,) = plan.failed_steps
    assert isinstance(failed.error.exception, AbnormalTermination)
    assert failed.error.message == ABNORMAL
    assert history(plan) == [("start execution", first.world_id), ("terminate execution", first.world_id)]
    # Those that are not its plans', and its record, go a moment after its plans are answered for.
    dead = f"world:{first.world_id}"
    wait_until(lambda: not client.coordinator.find_locks(owner_id=dead), what="the end of its locks")
    wait_until(lambda: not client.coordinator.find_worlds(id=first.world_id), what="its record's end")

    go.touch()
    resumed = client.execute(plan.id).result(10)
    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert history(resumed)[2:] == [
        ("start execution", second.world_id),
        ("finish execution", second.world_id),
    ]


@pytest.mark.every_database(in_chaos=())
def test_worlds_41_a_suspended_plan_goes_on_in_another_executor_under_its_own_request(supervisor, a_client):
    """Core B354; worlds 43 tells what happens without the other executor."""
    one, other = supervisor(workers=1), supervisor(workers=1)
    client = a_client()
    triggered = suspended_plan(client)
    owner = client.coordinator.execution_lock(triggered.id).world_id
    killed, successor = (one, other) if owner == one.world_id else (other, one)
    request_id = client.coordinator.execution_lock(triggered.id).request_id

    kill(killed)
    lock = wait_until(
        lambda: next(
            (
                lock
                for lock in client.coordinator.find_locks(class_name="ExecutionLock")
                if lock.world_id == successor.world_id
            ),
            None,
        ),
        what="the takeover",
    )
    wait_until(
        lambda: [step for step in steps_in(client, triggered.id, "suspended") if step.attempts == 2],
        what="the second suspension",
    )
    client.event(triggered.id, 2, "finish").result(10)
    plan = triggered.finished.result(10)

    assert plan.result == "success"
    # On a crowded machine the first one may have taken it up before it heard the client ask.
    assert lock.request_id in (request_id, f"{client.id}-1")
    assert history(plan) == [
        ("start execution", killed.world_id),
        ("terminate execution", killed.world_id),
        ("start execution", successor.world_id),
        ("finish execution", successor.world_id),
    ]


def test_worlds_43_without_another_executor_the_future_ends_and_a_later_one_goes_on(supervisor, a_client):
    """Invalidated by a client: plan paused and pending, both entries with the dead world's id."""
    first = supervisor(workers=1)
    client = a_client(no_executor_timeout_s=0.5)
    triggered = suspended_plan(client)

    kill(first)
    with pytest.raises(NoExecutor):
        triggered.finished.result(15)
    assert client.validity_check() == {first.world_id: "invalidated"}
    plan = client.persistence.load_execution_plan(triggered.id)

    assert (plan.state, plan.result) == ("paused", "pending")
    assert history(plan) == [("start execution", first.world_id), ("terminate execution", first.world_id)]
    assert client.validity_check() == {}
    supervisor(workers=1)
    wait_until(
        lambda: [step for step in steps_in(client, triggered.id, "suspended") if step.attempts == 2],
        what="the resumption",
    )


def test_g2_a_plan_asked_for_when_nobody_was_there_runs_when_a_supervisor_comes(supervisor, a_client):
    client = a_client(no_executor_timeout_s=0.3)
    triggered = client.trigger(Noop)
    with pytest.raises(NoExecutor):
        triggered.finished.result(10)

    supervisor(workers=1)

    wait_until(
        lambda: client.persistence.load_execution_plan(triggered.id).result == "success", what="the run"
    )


def test_g3_fifty_plans_of_a_killed_supervisor_end_and_no_step_is_done_again_without_an_error(
    supervisor, a_client, tmp_path
):
    log = tmp_path / "log"
    supervisors = [supervisor(), supervisor()]
    client = a_client()
    triggered = [
        client.trigger(SeveralCounted, 4, plan=number, log=str(log), seconds=0.02) for number in range(50)
    ]
    wait_until(lambda: len(lines_of(log)) > 100, what="the middle of the work")

    kill(supervisors[0])
    futures = [plan.finished for plan in triggered]
    assert not wait(futures, 30).not_done
    plans = [future.result() for future in futures]

    assert {plan.state for plan in plans} <= {"stopped", "paused"}
    failed = [(name_of(plan, step), step.error.message) for plan in plans for step in plan.failed_steps]
    assert failed  # else it was killed between two steps, which its busy workers make impossible
    assert {message for _, message in failed} == {ABNORMAL}
    plans = [client.execute(plan.id).result(20) if plan.state == "paused" else plan for plan in plans]
    assert {(plan.state, plan.result) for plan in plans} == {("stopped", "success")}
    begun = Counter(line.removeprefix("begun ") for line in lines_of(log) if line.startswith("begun"))
    assert len(begun) == 200
    assert {name for name, times in begun.items() if times > 1} <= {name for name, _ in failed}
    assert max(begun.values()) <= 2
    assert sum(step.attempts for plan in plans for step in plan.run_steps) == 200 + len(failed)


def name_of(plan, step):
    """How the step calls itself in the log."""
    given = plan.action(step.action_id).input
    return f"{given['plan']}/{given['number']}"


def stop_inside_a_write(supervisor, database_url):
    """SIGSTOP, tried until it comes in the middle of a write."""
    _, room = write_locks(database_url)
    pid = supervisor.process.pid

    def stopped_inside():
        supervisor.signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, what="the standstill")
        if is_inside(pid, room):
            return True
        supervisor.signal(signal.SIGCONT)
        return False

    wait_until(stopped_inside, what="a standstill inside a write")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
def test_g27_a_supervisor_that_stands_still_inside_a_write_is_killed_and_its_plans_are_taken_over(
    supervisor, a_client, database_url, tmp_path
):
    """Until then nobody can write. The second one comes when nobody can even open the database."""
    first = supervisor()
    client = a_client()
    triggered, go = held_plan(client, tmp_path)
    busy = client.trigger(SeveralCounted, 1000, plan=1, log=str(tmp_path / "busy"), seconds=0)

    stop_inside_a_write(first, database_url)
    began = time.monotonic()
    second = supervisor()
    taken_over = triggered.finished.result(20)
    passed_s = time.monotonic() - began

    assert first.wait(5) == -signal.SIGKILL
    assert passed_s < 20
    assert (taken_over.state, taken_over.result) == ("paused", "error")
    assert history(taken_over)[1] == ("terminate execution", first.world_id)
    wait_until(lambda: not client.coordinator.find_worlds(id=first.world_id), what="its record's end")
    go.touch()
    assert client.execute(triggered.id).result(20).result == "success"
    ended = busy.finished.result(60)
    ended = ended if ended.state == "stopped" else client.execute(busy.id).result(60)
    assert ended.result == "success"
    assert history(ended)[-1] == ("finish execution", second.world_id)


def test_a_living_supervisor_that_is_invalidated_gives_up_its_work_and_exits_75(
    supervisor, a_client, tmp_path
):
    """Worlds 13.6: nobody runs the plan twice at once."""
    victim = supervisor(workers=1)
    client = a_client()
    triggered, _ = held_plan(client, tmp_path)
    family = victim.descendants()

    held = client.invalidate(victim.world_id)

    assert held == 1
    assert victim.wait(10) == 75
    assert not any(alive(pid) for pid in family)
    plan = triggered.finished.result(10)
    assert (plan.state, plan.result) == ("paused", "error")


SCRIPT = """
import sys, time
from dynflow_mp import World
from recovery_actions import Evented
world = World(database_url=sys.argv[1], workers=1)
print(world.trigger(Evented).id, flush=True)
time.sleep(60)
"""


def test_the_plans_of_an_embedded_world_that_was_killed_go_on_in_the_next_one(database_url):
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, database_url], stdout=subprocess.PIPE, text=True, env=environment
    )
    with program, World(database_url=database_url) as watcher:
        plan_id = program.stdout.readline().strip()
        wait_until(lambda: steps_in(watcher, plan_id, "suspended"), what="the suspension")
        program.kill()
        program.wait(10)

        with World(database_url=database_url, workers=1, apps=["recovery_actions"]) as world:
            wait_until(
                lambda: [step for step in steps_in(watcher, plan_id, "suspended") if step.attempts == 2],
                what="the resumption",
            )
            assert world.event(plan_id, 2, "finish").result(10)
            wait_until(
                lambda: watcher.persistence.load_execution_plan(plan_id).result == "success", what="its end"
            )


def test_worlds_55_a_client_that_was_killed_leaves_no_record(supervisor, database_url, a_client):
    watcher = a_client()
    script = "import sys, time; from dynflow_mp import World; w = World(database_url=sys.argv[1]); "
    script += "print(w.id, flush=True); time.sleep(60)"
    program = subprocess.Popen(
        [sys.executable, "-c", script, database_url], stdout=subprocess.PIPE, text=True
    )
    with program:
        client_id = program.stdout.readline().strip()
        program.kill()

    supervisor(workers=1)

    wait_until(lambda: not watcher.coordinator.find_worlds(id=client_id), what="the record's end")
    assert run(watcher, Noop).result == "success"
