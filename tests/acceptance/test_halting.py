"""Halting plans: whatever they do, they end stopped, and nothing of them runs on."""

import signal
import time

import pytest
from engine_actions import Chain, Evented, NeedsFile, Noop, SideBySide
from waiting_actions import Busy, BusyInFinalize
from watching import alive, lines_of, run, wait_until

from dynflow_mp import EventDropped, PlanNotFound, PlanStopped, StepHalted, UnprocessableEvent, World

APPS = ["waiting_actions", "engine_actions"]


def no_locks(world):
    return not [lock for lock in world.coordinator.find_locks() if "execution" in type(lock).__name__.lower()]


def suspended(world, plan_id):
    return wait_until(
        lambda: world.persistence.load_execution_plan(plan_id).steps_in_state("suspended"),
        what="the suspension",
    )[0]


@pytest.mark.parametrize("how", ["sleep", "compute", "swallow", "hold", "child"])
def test_the_code_of_a_halted_plan_is_stopped_before_its_future_ends(world, tmp_path, how):
    log = tmp_path / "log"
    triggered = world.trigger(Busy, log=str(log), how=how)
    pid = int(wait_until(lambda: lines_of(log), what="the step's beginning")[0].split()[1])

    halted = world.halt(triggered.id)
    plan = halted.result(10)

    assert plan.state == "stopped"
    assert triggered.finished.result(10).state == "stopped"
    (step,) = plan.failed_steps
    assert step.error.cause == "halted"
    assert isinstance(step.error.exception, StepHalted)
    assert lines_of(log)[1:] == []
    assert alive(pid) == (how in ("sleep", "compute", "child"))
    assert no_locks(world)
    assert run(world, Noop).result == "success"


@pytest.mark.every_database
def test_b285_a_suspended_step_of_a_halted_plan_stays_suspended(world):
    triggered = world.trigger(Evented)
    step = suspended(world, triggered.id)
    later = world.event(triggered.id, step.id, "later", delay_s=3600)
    wait_until(lambda: world._parts.store.load_skeleton(triggered.id).events, what="the event")

    plan = world.halt(triggered.id).result(10)

    assert (plan.state, plan.result) == ("stopped", "pending")
    assert plan.steps[step.id].state == "suspended"
    assert plan.execution_history[-1].name == "halt execution"
    with pytest.raises(EventDropped):
        later.result(10)
    assert world._parts.store.load_skeleton(triggered.id).events == ()
    with pytest.raises(UnprocessableEvent):
        world.event(triggered.id, step.id, "too late").result(10)


@pytest.mark.every_database
def test_b287_a_planned_plan_is_halted_where_it_lies(world):
    planned = world.plan(Noop)

    plan = world.halt(planned.id).result(10)

    assert (plan.state, plan.result) == ("stopped", "pending")
    assert plan.run_steps[0].state == "pending"
    assert plan.started_at == planned.started_at
    assert plan.ended_at is not None
    with pytest.raises(PlanStopped):
        world.execute(planned.id).result(10)


def test_a_plan_paused_by_an_error_is_halted_to_stopped(world, tmp_path):
    """W14."""
    paused = run(world, NeedsFile, path=str(tmp_path / "never"))
    assert paused.state == "paused"

    plan = world.halt(paused.id).result(10)

    assert (plan.state, plan.result) == ("stopped", "error")
    assert no_locks(world)


@pytest.mark.every_database
def test_a_running_plan_with_a_failed_step_is_halted_to_stopped(world, tmp_path):
    """W14."""
    log = tmp_path / "log"
    branches = [
        [("NeedsFile", {"path": str(tmp_path / "never")})],
        [("Held", {"log": str(log), "until": str(tmp_path / "open")}), ("Noop", {})],
    ]
    triggered = world.trigger(SideBySide, branches)
    wait_until(
        lambda: lines_of(log) and world.persistence.load_execution_plan(triggered.id).failed_steps,
        what="one step's failure beside the other",
    )

    plan = world.halt(triggered.id).result(10)

    assert (plan.state, plan.result) == ("stopped", "error")
    assert sorted(step.state for step in plan.run_steps) == ["error", "error", "pending"]
    assert triggered.finished.result(10).state == "stopped"


def test_a_large_plan_is_halted_in_the_middle_and_no_step_begins_any_more(world):
    triggered = world.trigger(Chain, 3000)
    wait_until(
        lambda: (
            sum(
                count.number
                for count in world._parts.store.step_counts(triggered.id)
                if count.phase == "run" and count.state == "success"
            )
            > 20
        ),
        what="a beginning",
    )

    plan = world.halt(triggered.id).result(20)

    assert plan.state == "stopped"
    states = [step.state for step in plan.run_steps]
    assert "running" not in states
    assert states.count("pending") > 0
    assert run(world, Noop).result == "success"


def test_a_plan_is_halted_while_it_finalizes(world, tmp_path):
    log = tmp_path / "log"
    triggered = world.trigger(BusyInFinalize, log=str(log))
    wait_until(lambda: lines_of(log), what="the beginning of finalize")

    plan = world.halt(triggered.id).result(10)

    assert plan.state == "stopped"
    (step,) = plan.failed_steps
    assert (step.phase, step.error.cause) == ("finalize", "halted")


def test_a_second_halt_gets_the_same_answer_and_a_later_one_is_refused(world, tmp_path):
    log = tmp_path / "log"
    triggered = world.trigger(Busy, log=str(log), how="swallow")
    wait_until(lambda: lines_of(log), what="the step's beginning")

    halted = [world.halt(triggered.id), world.halt(triggered.id)]

    assert [future.result(10).state for future in halted] == ["stopped", "stopped"]
    with pytest.raises(PlanStopped):
        world.halt(triggered.id).result(10)
    with pytest.raises(PlanNotFound):
        world.halt("0" * 8 + "-0000-7000-8000-" + "0" * 12).result(10)


def test_a_client_halts_a_plan_of_a_supervisor_and_one_that_nobody_runs_any_more(
    start_supervisor, a_client, tmp_path
):
    supervisor = start_supervisor(app="waiting_actions")
    client, log = a_client(), tmp_path / "log"
    first = client.trigger(Busy, log=str(log), how="sleep")
    second = client.trigger(Evented)
    wait_until(lambda: lines_of(log), what="the step's beginning")
    suspended(client, second.id)

    assert client.halt(first.id).result(10).state == "stopped"

    supervisor.signal(signal.SIGTERM)
    assert supervisor.wait() == 0
    assert client.halt(second.id).result(10).state == "stopped"
    assert no_locks(client)


def test_a_plan_whose_executor_was_killed_is_halted_by_a_client_alone(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor(app="waiting_actions")
    client, log = a_client(), tmp_path / "log"
    triggered = client.trigger(Busy, log=str(log), how="sleep")
    wait_until(lambda: lines_of(log), what="the step's beginning")
    supervisor.signal(signal.SIGKILL)
    supervisor.wait()

    plan = client.halt(triggered.id).result(15)

    assert plan.state == "stopped"
    assert plan.failed_steps[0].error.cause == "supervisor_lost"
    assert no_locks(client)


def test_who_waits_for_a_plan_that_nobody_has_taken_yet_gets_it_stopped(a_client):
    """There is no executor: one client asks for the plan to be run, another one halts it."""
    first, second = a_client(no_executor_timeout_s=30, reask_interval_s=0.3), a_client()
    triggered = first.trigger(Noop)

    assert second.halt(triggered.id).result(10).state == "stopped"

    assert triggered.finished.result(10).state == "stopped"


def test_a_world_that_ends_while_it_halts_a_plan_ends_it_stopped(tmp_path):
    log = tmp_path / "log"
    with World(database_url=f"sqlite:///{tmp_path / 'plans.db'}", workers=1, apps=APPS) as world:
        triggered = world.trigger(Busy, log=str(log), how="hold")
        wait_until(lambda: lines_of(log), what="the step's beginning")
        halted = world.halt(triggered.id)
        time.sleep(0.1)
        world.terminate(timeout=0)
        assert halted.result(20).state == "stopped"
