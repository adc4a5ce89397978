"""Polling, cancel, abort and halt: core B110–B119, B285–B289."""

from __future__ import annotations

import pytest
from looking import locks
from telling_actions import InSequence, SideBySide, Told, Waits

from dynflow_mp import (
    Cancellable,
    EventDropped,
    NotCancellable,
    PlanNotFound,
    PlanStopped,
    Polling,
    UnprocessableEvent,
)


class Uploads(Cancellable, Polling):
    """Ten percent at every poll; at 30 a test may do something."""

    at_30 = None

    def invoke_external_task(self):
        return {"progress": 0, "cancelled": False}

    def poll_external_task(self):
        task = {**self.external_task, "progress": self.external_task["progress"] + 10}
        if task["progress"] == 30 and type(self).at_30 is not None:
            type(self).at_30(self)
        return task

    def done(self):
        return self.external_task["progress"] >= 100 or self.external_task["cancelled"]

    def cancel(self):
        if self.input.get("refuses"):
            self.error("action cancelled")
        self.external_task = {**self.external_task, "cancelled": True}

    def abort(self):
        self.output["aborted"] = True


@pytest.fixture(autouse=True)
def _nothing_at_30():
    Uploads.at_30 = None


def test_b110_b114_a_polling_action_runs_to_its_end(world, clock):
    plan = world.run(Uploads)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["task"] == {"progress": 100, "cancelled": False}
    assert plan.entry_action.output["poll_attempts"] == {"total": 10, "failed": 0}
    assert clock.elapsed_s > 1


@pytest.mark.parametrize("force", [False, True])
def test_b111_b118_cancel_and_abort_end_it_in_good_order(world, force):
    Uploads.at_30 = lambda action: world.cancel(action.execution_plan_id, force)

    plan = world.run(Uploads)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["task"] == {"progress": 30, "cancelled": not force}
    assert plan.entry_action.output.get("aborted", False) is force


def test_b112_an_action_that_cannot_be_cancelled_says_so_as_its_error(world):
    Uploads.at_30 = lambda action: world.cancel(action.execution_plan_id)

    plan = world.run(Uploads, refuses=True)

    assert (plan.state, plan.result) == ("paused", "error")
    assert plan.errors[0].message == "action cancelled"
    assert plan.entry_action.output["task"]["progress"] == 30


def test_b119_what_can_be_cancelled_shows(slow_world):
    planned = slow_world.plan(Uploads)
    assert not planned.cancellable

    slow_world.execute(planned.id)

    assert slow_world.persistence.load_execution_plan(planned.id).cancellable
    assert slow_world.cancel(planned.id).result() == [planned.run_steps[0].id]


def test_what_cannot_be_cancelled_is_refused(world):
    waits = world.trigger(Waits)

    for plan_id in (waits.id, world.run(Told).id):
        with pytest.raises(NotCancellable):
            world.cancel(plan_id).result()


# -- halt ----------------------------------------------------------------------------------------------


def test_b285_a_suspended_step_of_a_halted_plan_stays_suspended(slow_world):
    triggered = slow_world.trigger(Waits)
    later = slow_world.event(triggered.id, 2, "later", delay_s=3600)

    plan = slow_world.halt(triggered.id).result()

    assert (plan.state, plan.steps[2].state) == ("stopped", "suspended")
    assert triggered.finished.result().state == "stopped"
    with pytest.raises(EventDropped):
        later.result()
    with pytest.raises(UnprocessableEvent):
        slow_world.event(triggered.id, 2, "too late").result()
    assert locks(slow_world) == 0


def test_b287_a_planned_plan_is_halted_where_it_lies(world):
    planned = world.plan(Told)

    plan = world.halt(planned.id).result()

    assert (plan.state, plan.result, plan.run_steps[0].state) == ("stopped", "pending", "pending")
    with pytest.raises(PlanStopped):
        world.execute(plan.id).result()


def test_a_plan_paused_by_an_error_is_halted_to_stopped(world):
    """Core §28.7."""
    paused = world.run(InSequence, [{"name": "a", "fail": "run"}, {"name": "b"}])

    plan = world.halt(paused.id).result()

    assert (plan.state, plan.result) == ("stopped", "error")
    assert [step.state for step in plan.run_steps] == ["error", "pending"]


def test_a_plan_halts_itself_between_its_steps(world):
    class_halted = []
    Uploads.at_30 = lambda action: class_halted.append(world.halt(action.execution_plan_id))

    plan = world.run(Uploads)

    assert plan.state == "stopped"
    assert class_halted[0].result().id == plan.id
    assert locks(world) == 0


def test_what_cannot_be_halted_is_refused(world):
    with pytest.raises(PlanStopped):
        world.halt(world.run(SideBySide, []).id).result()
    with pytest.raises(PlanNotFound):
        world.halt("019aa000-0000-7000-8000-000000000000").result()
