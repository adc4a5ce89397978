"""The ready-made actions, one at a time: polling (core B140–B146), sub-plans."""

from __future__ import annotations

import pytest

from dynflow_mp import Action, Cancel, Cancellable, Poll, Polling
from dynflow_mp.testing import (
    assert_flow,
    clock_of,
    create_and_plan_action,
    progress_action_time,
    run_action,
    state_of,
)


class Task(Polling):
    """Ten percent at every poll."""

    poll_intervals = (1,)

    def invoke_external_task(self):
        return {"task_id": 123, "progress": 0}

    def poll_external_task(self):
        if self.input.get("fails"):
            raise ConnectionError("the service is away")
        return {**self.external_task, "progress": self.external_task["progress"] + 10}

    def done(self):
        return self.external_task["progress"] >= 100


class Child(Action):
    def run(self):
        pass


class Triggers(Action):
    def run(self):
        self.output["made"] = [self.trigger(Child, number=number).id for number in range(2)]


class Stoppable(Cancellable):
    def run(self, event=None):
        if event is None:
            self.suspend()
        super().run(event)

    def cancel(self):
        self.output["cancelled"] = True


def test_b140_the_first_run_stores_the_external_task():
    ran = run_action(create_and_plan_action(Task))

    assert (ran.state, ran.output["task"]["task_id"]) == ("suspended", 123)
    assert [ping.what.event for ping in clock_of(ran).pending_pings] == [Poll]


def test_b141_nine_polls_leave_it_waiting_and_the_tenth_ends_it():
    ran = run_action(create_and_plan_action(Task))

    for number in range(1, 10):
        assert progress_action_time(ran)
        assert (ran.state, ran.output["task"]["progress"]) == ("suspended", number * 10)
        assert len(clock_of(ran).pending_pings) == 1
    progress_action_time(ran)

    assert (ran.state, clock_of(ran).pending_pings) == ("success", [])


def test_b142_run_again_without_an_event_it_polls_the_old_task():
    ran = run_action(create_and_plan_action(Task))

    run_action(ran)

    assert ran.output["task"] == {"task_id": 123, "progress": 10}


def test_b144_failing_polls_are_counted_and_the_last_is_its_error():
    ran = run_action(create_and_plan_action(Task, fails=True))
    allowed = Task.poll_max_retries

    for number in range(1, allowed):
        assert progress_action_time(ran)
        assert (ran.state, ran.output["poll_attempts"]["failed"]) == ("suspended", number)
    with pytest.raises(ConnectionError):
        progress_action_time(ran)

    assert (ran.state, clock_of(ran).pending_pings) == ("error", [])


def test_what_it_triggered_can_be_looked_at():
    ran = run_action(create_and_plan_action(Triggers))

    first, second = state_of(ran).sub_plans
    assert [first.id, second.id] == ran.output["made"]
    assert_flow(first, "Child")


def test_a_signal_is_an_event_like_any_other():
    ran = run_action(create_and_plan_action(Stoppable))

    assert run_action(ran, Cancel).output == {"cancelled": True}
