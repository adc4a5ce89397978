"""Polling, timeouts, events from step to step, and cancelling: on real workers."""

import signal

import pytest
from engine_actions import Evented, Noop
from waiting_actions import (
    CancelsWithoutKnowingHow,
    Conversation,
    EndsBeforeItsTimeout,
    Listens,
    Tells,
    TimesOut,
    Upload,
)
from watching import lines_of, run, wait_until

from dynflow_mp import BadArgument, NotCancellable, PlanNotFound, TimeoutExceeded

APPS = ["waiting_actions", "engine_actions"]


def run_step(plan):
    (step,) = plan.run_steps
    return step


def started(world, tmp_path, **more):
    """An upload of which 30 % are done, and the file that says so."""
    file = tmp_path / "progress"
    file.write_text("30")
    triggered = world.trigger(Upload, log=str(tmp_path / "log"), file=str(file), **more)
    wait_until(lambda: lines_of(tmp_path / "log").count("polled") >= 2, what="polling")
    return triggered, file


def test_b110_b114_a_polling_plan_runs_to_success(world, tmp_path):
    triggered, file = started(world, tmp_path)
    file.write_text("100")

    plan = triggered.finished.result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    output = plan.entry_action.output
    assert output["task"] == {"progress": 100, "cancelled": False}
    log = lines_of(tmp_path / "log")
    assert log[0] == "invoked"
    assert log[-1] == "finished"
    assert log.count("invoked") == 1
    assert output["poll_attempts"] == {"total": log.count("polled"), "failed": 0}


def test_b111_an_action_cancels_itself(world, tmp_path):
    """Worlds 71."""
    file = tmp_path / "progress"
    file.write_text("30")

    plan = run(world, Upload, log=str(tmp_path / "log"), file=str(file), cancels_itself=True)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["task"] == {"progress": 30, "cancelled": True}


@pytest.mark.every_database
def test_a_cancelled_plan_stops_in_good_order(world, tmp_path):
    triggered, _ = started(world, tmp_path)

    told = world.cancel(triggered.id).result(10)

    plan = triggered.finished.result(20)
    assert told == [run_step(plan).id]
    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["task"] == {"progress": 30, "cancelled": True}


def test_b112_an_action_that_cannot_be_cancelled_says_so_as_its_error(world, tmp_path):
    """Worlds 72."""
    triggered, _ = started(world, tmp_path, refuses=True)

    world.cancel(triggered.id).result(10)

    plan = triggered.finished.result(20)
    assert (plan.state, plan.result) == ("paused", "error")
    assert run_step(plan).error.message == "action cancelled"
    assert plan.entry_action.output["task"]["progress"] == 30


def test_b118_cancelling_by_force_sends_abort(world, tmp_path):
    triggered, _ = started(world, tmp_path)

    world.cancel(triggered.id, force=True).result(10)

    plan = triggered.finished.result(20)
    assert plan.result == "success"
    assert plan.entry_action.output["aborted"] is True


def test_b115_a_look_that_fails_the_step_once_is_made_good_by_resuming(world, tmp_path):
    """Worlds 79."""
    triggered, file = started(world, tmp_path)
    file.write_text("-1")
    paused = triggered.finished.result(20)
    assert (paused.state, paused.result) == ("paused", "error")
    assert run_step(paused).error.message == "the task is lost"
    file.write_text("100")

    plan = world.execute(triggered.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert lines_of(tmp_path / "log").count("invoked") == 1


def test_worlds_73_a_task_that_cannot_be_started_fails_the_step(world, tmp_path):
    plan = run(world, Upload, log=str(tmp_path / "log"), file="", unreachable=True)

    assert (plan.state, plan.result) == ("paused", "error")
    assert run_step(plan).error.message == "nobody there"


def test_a_cancellable_action_that_does_not_say_how_fails_instead_of_pretending(world):
    """W17."""
    triggered = world.trigger(CancelsWithoutKnowingHow)
    wait_until(
        lambda: run_step(world.persistence.load_execution_plan(triggered.id)).state == "suspended",
        what="the suspension",
    )

    world.cancel(triggered.id).result(10)

    plan = triggered.finished.result(10)
    assert run_step(plan).error.exception_class == "NotImplementedError"


def test_b119_what_can_be_cancelled_shows(world, tmp_path):
    triggered, file = started(world, tmp_path)

    assert world.persistence.load_execution_plan(triggered.id).cancellable

    file.write_text("100")
    assert not triggered.finished.result(20).cancellable


def test_what_cannot_be_cancelled_is_a_typed_error_and_nothing_happens(world):
    waiting = world.trigger(Evented)
    step = wait_until(
        lambda: world.persistence.load_execution_plan(waiting.id).steps_in_state("suspended"),
        what="the suspension",
    )[0]
    planned = world.plan(Noop)
    ended = run(world, Noop)

    for plan_id in (waiting.id, planned.id, ended.id):
        with pytest.raises(NotCancellable):
            world.cancel(plan_id).result(10)
    with pytest.raises(PlanNotFound):
        world.cancel("0" * 8 + "-0000-7000-8000-" + "0" * 12).result(10)
    with pytest.raises(BadArgument, match="force"):
        world.cancel(waiting.id, force="yes")

    assert world.event(waiting.id, step.id, "finish").result(10)
    assert waiting.finished.result(10).entry_action.output["heard"] == ["finish"]


def test_b146_a_timeout_fails_the_step_that_polls(world):
    plan = run(world, TimesOut)

    error = run_step(plan).error
    assert isinstance(error.exception, TimeoutExceeded)
    assert error.message == "Timeout exceeded."


def test_a_timeout_is_gone_with_its_step(world):
    """W29."""
    plan = run(world, EndsBeforeItsTimeout)

    assert plan.result == "success"
    assert world._parts.store.load_skeleton(plan.id).events == ()


def test_an_event_sent_between_two_executors_reaches_the_next_one(start_supervisor, a_client):
    """W28."""
    first, client = start_supervisor(app="waiting_actions"), a_client(no_executor_timeout_s=20)
    triggered = client.trigger(Listens)
    step = wait_until(
        lambda: client.persistence.load_execution_plan(triggered.id).steps_in_state("suspended"),
        what="the suspension",
    )[0]
    first.signal(signal.SIGTERM)
    first.wait()

    taken = client.event(triggered.id, step.id, "hello")
    start_supervisor(app="waiting_actions")

    assert taken.result(20) is True
    assert triggered.finished.result(20).entry_action.output == {"heard": "hello"}


@pytest.mark.parametrize("optional", [False, True])
def test_a_step_wakes_another_one_of_its_plan(world, caplog, optional):
    plan = run(world, Conversation, optional=optional)

    assert plan.result == "success"
    assert plan.actions[1].output == {"heard": "hello"}
    remarks = [record for record in caplog.records if record.__dict__.get("action") == "event_undelivered"]
    assert len(remarks) == (0 if optional else 1)


def test_a_step_wakes_one_of_another_plan(world):
    waiting = world.trigger(Listens)
    plan = wait_until(
        lambda: (
            (found := world.persistence.load_execution_plan(waiting.id)).steps_in_state("suspended") and found
        ),
        what="the suspension",
    )

    run(world, Tells, plan=waiting.id, steps=[run_step(plan).id])

    assert waiting.finished.result(10).entry_action.output == {"heard": "hello"}
