"""Executors that stand still: nobody is at a step any more when another executor may begin it."""

import os
import signal
import time

import databases
import psutil
import pytest
from effects import LongAndShort, Ticking, TickingOnce, overlaps, runs_of
from watching import alive, stop_between_writes, wait_until

TTL_S = 3.0
CROWDED_S = 5.0
"""Beyond what is promised: a machine that runs many tests at once may be late with everything."""
pytestmark = pytest.mark.usefixtures("quick_to_look")


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setenv("DYNFLOW_LEASE_TTL_S", str(TTL_S))


@pytest.fixture
def supervisor(start_supervisor):
    return lambda **keywords: start_supervisor(app="effects", workers=1, **keywords)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def go(tmp_path):
    return tmp_path / "go"


@pytest.fixture
def ticking(log, go):
    """Has a client ask for a plan of one step, which then runs."""

    def start(client, action=Ticking, name="step"):
        triggered = client.trigger(action, name=name, log=str(log), until=str(go))
        wait_until(lambda: runs_of(log, name), what="the step's beginning")
        return triggered

    return start


def worker_of(log):
    return runs_of(log, "step")[-1].pid


def stand_still(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def move_again(pids):
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("database_url", "whose"),
    [
        (databases.SQLITE, "supervisor"),
        (databases.POSTGRESQL, "both"),
        (databases.MYSQL, "supervisor"),
        pytest.param(databases.SQLITE, "both", marks=pytest.mark.chaos),
        pytest.param(databases.POSTGRESQL, "supervisor", marks=pytest.mark.chaos),
        pytest.param(databases.MYSQL, "both", marks=pytest.mark.chaos),
    ],
    indirect=["database_url"],
)
def test_g10_g14_nobody_is_at_a_step_any_more_when_another_world_begins_it(
    supervisor, a_client, ticking, log, go, whose
):
    """The supervisor stands still for longer than its lease lasts, and so, or not so, does its worker."""
    first = supervisor()
    client = a_client()
    triggered = ticking(client)
    worker = worker_of(log)
    second = supervisor()

    stopped_at = time.monotonic()
    stop_between_writes(first, client, *([worker] if whose == "both" else []))
    wait_until(lambda: not alive(worker), 30, "the worker's end")
    ended_s = time.monotonic() - stopped_at
    wait_until(lambda: len(runs_of(log, "step")) == 2, 60, "the second run")
    move_again([first.process.pid])
    status = first.wait(60)
    go.touch()
    plan = triggered.finished.result(60)

    assert overlaps(log, "step") == []
    assert len(runs_of(log, "step")) == 2
    assert ended_s < TTL_S
    assert status == 75
    assert (plan.state, plan.result) == ("stopped", "success")
    assert [(entry.name, entry.world_id) for entry in plan.execution_history] == [
        ("start execution", first.world_id),
        ("terminate execution", first.world_id),
        ("start execution", second.world_id),
        ("finish execution", second.world_id),
    ]
    # Dead for good: nobody is alive under its id again.
    assert [world.state for world in client.coordinator.find_worlds(id=first.world_id)] in ([], ["dead"])


def test_g9_who_was_declared_dead_stops_within_a_second_of_its_first_refused_write(
    start_supervisor, a_client, log, go, monkeypatch
):
    """Its lease would tell it only in half a minute."""
    monkeypatch.setenv("DYNFLOW_LEASE_TTL_S", "60")
    monkeypatch.setenv("DYNFLOW_LEASE_RENEWAL_S", "30")
    victim = start_supervisor(app="effects", workers=2)
    client = a_client()
    triggered = client.trigger(LongAndShort, log=str(log), until=str(go))
    wait_until(lambda: runs_of(log, "long") and runs_of(log, "short"), 60, "the steps' beginnings")

    assert client.invalidate(victim.world_id) == 1
    assert victim.process.poll() is None
    go.touch()
    status = victim.wait(20)

    (long,), (short,) = runs_of(log, "long"), runs_of(log, "short")
    print(f"stopped {long.last - short.last:.3f} s after the step whose outcome was refused")
    assert status == 75
    assert long.last - short.last < 1.0 + CROWDED_S
    plan = triggered.finished.result(60)
    assert {step.state for step in plan.run_steps} == {"error"}


@pytest.mark.chaos
def test_g10_a_worker_that_stands_still_under_a_supervisor_that_does_not_keeps_its_step(
    supervisor, a_client, ticking, log, go
):
    first = supervisor()
    client = a_client()
    triggered = ticking(client)
    supervisor()
    worker = worker_of(log)

    stand_still([worker])
    stopped_at = time.monotonic()
    wait_until(lambda: time.monotonic() > stopped_at + 1.5 * TTL_S, 60)
    move_again([worker])
    go.touch()
    plan = triggered.finished.result(60)

    assert plan.result == "success"
    assert [run.pid for run in runs_of(log, "step")] == [worker]
    assert {entry.world_id for entry in plan.execution_history} == {first.world_id}


def test_g10_g26_without_anybody_else_the_world_goes_on_after_it_stood_still(
    supervisor, a_client, ticking, log, go
):
    """Its steps were killed, as others could have begun them; it lives, and gives nothing to do before it knows that."""
    only = supervisor()
    client = a_client()
    triggered = ticking(client, TickingOnce)
    workers = [pid for pid in only.descendants() if pid != guardian_of(only)]

    stop_between_writes(only, client)
    wait_until(lambda: not any(map(alive, workers)), 30, "the end of its workers")
    waiting = [client.trigger(Ticking, name="late", log=str(log), until=str(go))]
    move_again([only.process.pid])
    paused = triggered.finished.result(60)
    wait_until(lambda: runs_of(log, "late"), 60, "a step in a new worker")
    go.touch()
    resumed = client.execute(triggered.id).result(60)

    assert (paused.state, paused.result) == ("paused", "error")
    (failed,) = paused.failed_steps
    assert failed.error.exception_class.endswith("WorkerLost")
    assert "its lease" in failed.error.message
    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert {each.finished.result(60).result for each in waiting} == {"success"}
    assert alive(only.process.pid)
    only.signal(signal.SIGTERM)
    assert only.wait(60) == 0


def guardian_of(supervisor):
    for child in psutil.Process(supervisor.process.pid).children():
        if any("guardian.py" in part for part in child.cmdline()):
            return child.pid
    return pytest.fail("the supervisor has no guardian")


@pytest.mark.chaos
def test_g26_a_world_that_has_its_steps_finish_keeps_them(
    supervisor, a_client, ticking, log, go, monkeypatch
):
    monkeypatch.setenv("DYNFLOW_ON_LEASE_LOSS", "finish")
    only = supervisor()
    client = a_client()
    triggered = ticking(client, TickingOnce)
    worker = worker_of(log)

    stop_between_writes(only, client)
    stopped_at = time.monotonic()
    wait_until(lambda: time.monotonic() > stopped_at + 1.2 * TTL_S, 60)
    move_again([only.process.pid])
    go.touch()

    assert triggered.finished.result(60).result == "success"
    assert [run.pid for run in runs_of(log, "step")] == [worker]
