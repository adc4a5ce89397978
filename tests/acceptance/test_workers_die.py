"""Workers that die: noticed at once, named, replaced; only the step that ran is charged."""

import os
import signal
import time

import psutil
import pytest
from engine_actions import FanOut, Held, KillsItself, KillsItselfInFinalize, Noop, SideBySide
from watching import alive, lines_of, run, wait_until

from dynflow_mp import WorkerLost, World


@pytest.mark.parametrize(("action", "name"), [("KillsItself", "SIGKILL"), ("Crashes", "SIGSEGV")])
def test_a_step_whose_worker_is_killed_is_alone_in_error_and_resume_brings_it_to_success(
    world, tmp_path, action, name
):
    cured = tmp_path / "cured"
    fine = [("Noop", {})] * 20

    plan = run(
        world,
        SideBySide,
        [fine, [(action, {"cured": str(cured), "signal": name}), ("Noop", {})], fine],
    )

    assert (plan.state, plan.result) == ("paused", "error")
    (step,) = plan.failed_steps
    assert step.action_class == action
    assert isinstance(step.error.exception, WorkerLost)
    assert name in step.error.message
    states = [step.state for step in plan.steps.values() if step.phase == "run"]
    assert states.count("success") == 40
    assert states.count("pending") == 1

    cured.touch()
    resumed = world.execute(plan.id).result(20)
    assert (resumed.state, resumed.result) == ("stopped", "success")


def test_g15_a_worker_killed_from_outside_is_noticed_at_once_and_replaced(world, tmp_path):
    log = tmp_path / "log"
    triggered = world.trigger(Held, log=str(log), until=str(tmp_path / "never"))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    pid = int(lines_of(log)[0].split()[1])

    killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    plan = triggered.finished.result(10)

    assert time.monotonic() - killed_at < 2
    assert plan.state == "paused"
    assert str(pid) in plan.failed_steps[0].error.message
    wait_until(
        lambda: len(world.worker_pids) == 2 and pid not in world.worker_pids.values(), what="a new worker"
    )
    assert not alive(pid)


def test_g16_killing_workers_under_a_large_plan_charges_only_the_steps_that_ran(world):
    triggered = world.trigger(FanOut, 4000, pause_s=0.0)
    killed = 0
    while not triggered.finished.done() and killed < 4:
        pids = list(world.worker_pids.values())
        if pids:
            try:
                os.kill(pids[0], signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        try:
            triggered.finished.result(0.1)
        except TimeoutError:
            continue
    plan = triggered.finished.result(60)

    failed = len(plan.failed_steps)
    assert failed <= killed * 66  # the running one, and those finished but not yet reported
    states = {step.state for step in plan.steps.values()}
    assert states <= {"success", "error"}
    while plan.state == "paused":
        plan = world.execute(plan.id).result(60)
    assert plan.result == "success"
    assert all(step.attempts <= 1 + killed for step in plan.steps.values() if step.phase == "run")


def test_a_worker_that_dies_in_finalize_fails_that_step(world, tmp_path):
    cured = tmp_path / "cured"

    plan = run(world, KillsItselfInFinalize, cured=str(cured))

    assert plan.state == "paused"
    (step,) = plan.failed_steps
    assert step.phase == "finalize"
    cured.touch()
    assert world.execute(plan.id).result(20).result == "success"


def test_g18_no_zombie_stays(world):
    run(world, KillsItself, cured="/nonexistent/file")

    wait_until(lambda: len(world.worker_pids) == 2, what="a new worker")
    zombies = [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() == psutil.STATUS_ZOMBIE
    ]
    assert zombies == []


def test_terminating_a_world_leaves_no_process_and_no_file(tmp_path):
    world = World(database_url=f"sqlite:///{tmp_path / 'plans.db'}", workers=2, apps=["engine_actions"])
    before = set(world.worker_pids.values())
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    run(world, Noop)

    world.terminate().result(20)

    assert before
    assert not [pid for pid in before if alive(pid)]
    left = {child.pid for child in psutil.Process().children(recursive=True)} & children
    assert not [pid for pid in left if pid in before]
