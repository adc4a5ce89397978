"""Steps that suspend, events, timers, progress: core B078, B116, B120, B130–B134, B379, B380."""

from __future__ import annotations

import pytest
from looking import history
from telling_actions import Polls, Waits, WakesItself

from dynflow_mp import Action, DataError, EventDropped, UnprocessableEvent
from dynflow_mp.testing import DoesNotRest, InThreadWorld


class Forever(Action):
    """Never has enough."""

    def run(self, event=None):
        self.plan_event("again", delay_s=1)
        self.suspend()


def test_b130_an_event_wakes_the_step_and_the_plan_ends(world):
    triggered = world.trigger(Waits)
    assert not triggered.finished.done()
    assert world.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended"

    assert world.event(triggered.id, 2, "finish").result() is True

    plan = triggered.finished.result()
    assert (plan.state, plan.result, plan.entry_action.output) == (
        "stopped",
        "success",
        {"heard": ["finish"]},
    )


def test_events_come_in_the_order_they_were_sent(world):
    triggered = world.trigger(Waits)

    for event in (1, {"two": [2]}, "finish"):
        world.event(triggered.id, 2, event)

    assert triggered.finished.result().entry_action.output == {"heard": [1, {"two": [2]}, "finish"]}


def test_a_future_that_nothing_will_resolve_says_so_at_once(world):
    triggered = world.trigger(Waits)

    with pytest.raises(TimeoutError, match="a step waits for an event"):
        triggered.finished.result(timeout=1000)


def test_an_event_to_a_step_that_ended_is_refused(world):
    plan = world.run(WakesItself)

    with pytest.raises(UnprocessableEvent):
        world.event(plan.id, 2, "late").result()
    with pytest.raises(UnprocessableEvent):
        world.event(plan.id, 99, "nobody").result()


def test_an_event_that_cannot_be_stored_is_refused_and_changes_nothing(world):
    triggered = world.trigger(Waits)

    with pytest.raises(DataError):
        world.event(triggered.id, 2, object())
    assert world.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended"


def test_a_step_that_fails_on_an_event_pauses_its_plan(world):
    triggered = world.trigger(Waits)
    world.event(triggered.id, 2, "fail")

    plan = triggered.finished.result()
    assert (plan.state, plan.result) == ("paused", "error")


def test_an_event_with_a_delay_is_dropped_when_its_step_ends_before(slow_world):
    triggered = slow_world.trigger(Waits)
    delayed = slow_world.event(triggered.id, 2, "late", delay_s=60)

    slow_world.event(triggered.id, 2, "finish")

    assert triggered.finished.result().result == "success"
    with pytest.raises(EventDropped):
        delayed.result()


def test_resume_calls_a_failed_step_again_without_an_event(world):
    triggered = world.trigger(Waits)
    world.event(triggered.id, 2, "fail")

    resumed = world.execute(triggered.id)
    assert world.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended"
    world.event(triggered.id, 2, "finish")

    assert resumed.result().entry_action.output == {"heard": ["fail", "finish"]}


# -- time ----------------------------------------------------------------------------------------------


def test_b116_b133_an_event_with_a_time_waits_for_it(slow_world):
    triggered = slow_world.trigger(WakesItself, delay_s=0.5)
    assert [ping.due_s for ping in slow_world.clock.pending_pings] == [0.5]
    assert slow_world.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended"

    slow_world.clock.advance(0.4)
    assert not triggered.finished.done()
    slow_world.clock.progress()

    plan = triggered.finished.result()
    assert (plan.result, plan.entry_action.output) == ("success", {"status": "pinged"})
    assert slow_world.clock.pending_pings == []


def test_b134_an_event_without_a_time_comes_at_once(slow_world):
    plan = slow_world.run(WakesItself)

    assert (plan.result, plan.entry_action.output) == ("success", {"status": "pinged"})
    assert slow_world.clock.elapsed_s == 0


def test_b380_a_thousand_seconds_take_no_time(world, clock):
    """And timers that are none of the plan's are in nobody's way."""
    unrelated = []
    clock.ping(unrelated, 10, "unrelated")

    plan = world.run(WakesItself, delay_s=1000)

    assert plan.result == "success"
    assert (clock.elapsed_s, plan.real_time) == (1000, 1000)
    assert unrelated == ["unrelated"]


def test_b379_polling_runs_to_its_end(world, clock):
    plan = world.run(Polls, until=50)

    assert (plan.state, plan.result, plan.entry_action.output) == ("stopped", "success", {"polls": 50})
    assert clock.elapsed_s == 49


def test_b078_a_suspended_step_s_execution_time_is_shorter_than_its_real_time(world):
    plan = world.run(WakesItself, delay_s=30)

    step = plan.steps[2]
    assert step.execution_time < 1
    assert step.real_time == plan.real_time == 30


def test_b115_a_poll_that_fails_pauses_the_plan_and_goes_on_when_resumed(world):
    paused = world.run(Polls, until=5, fail_at=3)
    assert (paused.state, paused.result) == ("paused", "error")

    plan = world.execute(paused.id).result()

    assert (plan.state, plan.result, plan.entry_action.output["polls"]) == ("stopped", "success", 5)
    assert history(plan) == ["start execution", "pause execution", "start execution", "finish execution"]


def test_b120_progress_shows_how_far_a_step_is(slow_world):
    triggered = slow_world.trigger(Polls, until=5)

    assert slow_world.persistence.load_execution_plan(triggered.id).progress == pytest.approx(0.2)
    slow_world.clock.progress()
    assert slow_world.persistence.load_execution_plan(triggered.id).progress == pytest.approx(0.4)


def test_a_plan_that_never_comes_to_rest_is_given_up():
    with InThreadWorld(most_turns=300) as world:
        with pytest.raises(DoesNotRest, match="does not come to rest"):
            world.trigger(Forever)

        (plan,) = world.persistence.find_execution_plans()
        assert plan.state == "running"
