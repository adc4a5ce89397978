"""Suspended steps and the events that wake them."""

import pytest
from engine_actions import Evented, Noop, WakesItself
from watching import run, wait_until

from dynflow_mp.errors import DataError, EventDropped, UnprocessableEvent

pytestmark = pytest.mark.every_database


def run_step(plan):
    (step,) = [step for step in plan.steps.values() if step.phase == "run"]
    return step


def suspended(world, plan_id):
    def stored():
        plan = world.persistence.load_execution_plan(plan_id)
        return plan if run_step(plan).state == "suspended" else None

    return wait_until(stored, what="the suspension")


def test_b130_an_event_wakes_the_step_and_the_plan_ends(world):
    """Also worlds 31 and 75."""
    triggered = world.trigger(Evented)
    plan = suspended(world, triggered.id)
    assert plan.state == "running"

    assert world.event(plan.id, run_step(plan).id, "finish").result(10) is True

    ended = triggered.finished.result(10)
    assert (ended.state, ended.result) == ("stopped", "success")
    assert ended.entry_action.output["heard"] == ["finish"]


def test_events_are_taken_in_the_order_they_were_sent(world):
    triggered = world.trigger(Evented)
    step = run_step(suspended(world, triggered.id))

    futures = [world.event(triggered.id, step.id, number) for number in range(30)]
    last = world.event(triggered.id, step.id, "finish")

    assert all(future.result(20) for future in futures)
    assert last.result(20)
    plan = triggered.finished.result(10)
    assert plan.entry_action.output["heard"] == [*range(30), "finish"]


def test_b078_a_suspended_step_s_execution_time_is_shorter_than_its_real_time(world):
    """Worlds 76."""
    triggered = world.trigger(Evented)
    step = run_step(suspended(world, triggered.id))
    world.event(triggered.id, step.id, {"any": ["plain", "datum"]}).result(10)
    world.event(triggered.id, step.id, "finish").result(10)

    plan = triggered.finished.result(10)

    assert run_step(plan).execution_time < run_step(plan).real_time
    assert plan.execution_time < plan.real_time
    together = sum(step.execution_time for step in plan.steps.values())
    assert plan.execution_time == pytest.approx(together, abs=1e-6)


def test_worlds_32_an_event_to_a_finished_plan_fails(world):
    plan = run(world, Noop)

    with pytest.raises(UnprocessableEvent):
        world.event(plan.id, run_step(plan).id, "late").result(10)


def test_events_left_when_the_step_ends_are_dropped_and_their_senders_told(world):
    triggered = world.trigger(Evented)
    step = run_step(suspended(world, triggered.id))

    first = world.event(triggered.id, step.id, "finish")
    rest = [world.event(triggered.id, step.id, number) for number in range(5)]

    assert first.result(10) is True
    for future in rest:
        with pytest.raises((EventDropped, UnprocessableEvent)):
            future.result(10)


def test_an_event_that_makes_the_step_fail_was_taken(world):
    triggered = world.trigger(Evented)
    step = run_step(suspended(world, triggered.id))

    assert world.event(triggered.id, step.id, "fail").result(10) is True

    plan = triggered.finished.result(10)
    assert plan.state == "paused"
    assert plan.failed_steps[0].error.message == "asked to fail"


def test_resume_calls_a_failed_evented_step_again_without_an_event(world):
    """Worlds 79."""
    triggered = world.trigger(Evented)
    step = run_step(suspended(world, triggered.id))
    world.event(triggered.id, step.id, "fail").result(10)
    triggered.finished.result(10)

    resumed = world.execute(triggered.id)
    suspended(world, triggered.id)
    world.event(triggered.id, step.id, "finish").result(10)

    plan = resumed.result(10)
    assert plan.result == "success"
    assert plan.entry_action.output["calls"] == 2


@pytest.mark.parametrize("delay_s", [None, 0.2])
def test_b133_b134_an_action_may_wake_itself(world, delay_s):
    plan = run(world, WakesItself, delay_s=delay_s)

    assert plan.entry_action.output == {"woken_by": "later"}
    assert delay_s is None or plan.real_time >= delay_s


def test_an_event_that_cannot_be_stored_is_refused_at_once(world):
    with pytest.raises(DataError, match="event"):
        world.event("any", 2, object())


def test_a_suspended_step_holds_no_worker(world):
    waiting = [world.trigger(Evented) for _ in range(10)]
    for triggered in waiting:
        suspended(world, triggered.id)

    assert run(world, Noop, timeout=10).result == "success"

    for triggered in waiting:
        world.event(triggered.id, 2, "finish").result(10)
        assert triggered.finished.result(10).result == "success"
