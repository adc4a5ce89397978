"""Rescue, skip, retry, crashes, deadlines: core B210–B224, B356."""

from __future__ import annotations

import pytest
from failing_actions import (
    ActionWithSkip,
    Backs,
    Composed,
    FailingSkip,
    HasAnHour,
    MustFail,
    MustPause,
    Repeats,
    Several,
)
from telling_actions import Waits

from dynflow_mp import BadArgument
from dynflow_mp.testing import InThreadWorld


def history(plan):
    return [entry.name for entry in plan.execution_history]


def test_b210_b217_a_skippable_failure_is_rescued(world):
    plan = world.run(ActionWithSkip, name="run")

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert plan.entry_action.output["message"] == "skipped because of what failed"


def test_b212_a_failure_in_finalize_is_rescued(world):
    plan = world.run(ActionWithSkip, in_run=False)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert plan.entry_action.output["message"] == "Been here"


@pytest.mark.parametrize(
    ("in_run", "message"), [(True, "skipped because of what failed"), (False, "Been here")]
)
def test_b213_b214_b221_several_children_that_fail_are_rescued(world, in_run, message):
    plan = world.run(Composed, [{"in_run": in_run}, {"in_run": in_run}])

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert [action.output["message"] for action in plan.actions[1:]] == [message, message]


def test_b218_a_skip_that_fails_is_tried_once(world):
    plan = world.run(FailingSkip)

    assert (plan.state, plan.result, plan.entry_action.output["calls"]) == ("paused", "error", 2)


def test_b220_the_history_of_a_paused_plan(world):
    assert history(world.run(MustPause)) == ["start execution", "pause execution"]


def test_b222_all_fail(world):
    plan = world.run(Several, ["MustFail", "MustFail"])

    assert (plan.state, plan.result) == ("stopped", "error")
    assert world.run(Several, ["MustFail", "ActionWithSkip"]).state == "paused"


def test_b224_without_auto_rescue_every_strategy_pauses():
    with InThreadWorld(auto_rescue=False) as world:
        for kind in (ActionWithSkip, MustFail, MustPause):
            plan = world.run(kind)
            assert (plan.state, plan.result) == ("paused", "error")


def test_skip_and_resume_by_hand(world):
    paused = world.run(MustPause)
    (step,) = paused.failed_steps

    assert world.skip(paused.id, step.id) == [step.id]
    plan = world.execute(paused.id).result(0)

    assert (plan.state, plan.result) == ("stopped", "warning")


def test_an_edited_input_is_what_the_next_attempt_gets(world):
    paused = world.run(Backs, works_at=9)
    (step,) = paused.failed_steps

    world.edit_input(paused.id, step.id, {"works_at": 5})
    plan = world.execute(paused.id).result(0)

    assert (plan.result, plan.entry_action.input) == ("success", {"works_at": 5})
    assert f"edit input of step {step.id}" in history(plan)


def test_retries_take_the_time_they_say(world, clock):
    plan = world.run(Backs, works_at=4)

    assert (plan.result, plan.run_steps[0].attempts) == ("success", 4)
    assert clock.elapsed_s == pytest.approx(10 + 30 + 90, abs=5)


def test_a_deadline_passes_by_the_clock(world, clock):
    plan = world.run(HasAnHour)

    assert (plan.state, plan.failed_steps[0].error.cause) == ("paused", "deadline")
    assert clock.elapsed_s == pytest.approx(3600, abs=5)


@pytest.mark.parametrize(("deaths", "ended"), [(2, ("success", 2)), (3, ("error", 3))])
def test_an_idempotent_step_survives_two_crashes(world, deaths, ended):
    world.lose_worker(at=Repeats, times=deaths)

    plan = world.run(Repeats)

    assert (plan.result, plan.run_steps[0].crashes) == ended


def test_b356_a_skippable_step_whose_executor_died_is_skipped(world):
    world.kill_executor(at=ActionWithSkip)

    plan = world.run(ActionWithSkip)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert plan.run_steps[0].failed_attempts[0].error.cause == "supervisor_lost"
    assert plan.entry_action.output["message"] == "skipped because of what failed"


def test_an_idempotent_step_whose_executor_died_runs_again(world):
    world.kill_executor(at=Repeats, ran=True)

    plan = world.run(Repeats)

    assert (plan.result, plan.run_steps[0].crashes, plan.run_steps[0].attempts) == ("success", 1, 2)


def test_a_retry_outlives_its_executor(slow_world):
    triggered = slow_world.trigger(Backs, works_at=2)
    (step,) = slow_world.persistence.load_execution_plan(triggered.id).run_steps
    assert step.due_at is not None

    slow_world.kill_executor()
    slow_world.clock.advance(9)
    assert not triggered.finished.done()
    slow_world.clock.advance(2)

    assert triggered.finished.result(0).run_steps[0].attempts == 2


def test_a_plan_may_be_triggered_with_a_deadline_of_its_own(slow_world):
    slow_world.trigger_with_options(Waits, (), {"name": "one"}, deadline_s=10)
    (row,) = slow_world.persistence.find_execution_plans()
    slow_world.clock.advance(11)

    plan = slow_world.persistence.load_execution_plan(row.id)
    assert (plan.state, plan.failed_steps[0].error.cause) == ("paused", "deadline")


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline_s": 0},
        {"deadline_s": -1},
        {"deadline_s": "soon"},
        {"args": 3},
        {"kwargs": 3},
        {"kwargs": {1: 2}},
    ],
)
def test_what_a_plan_cannot_be_triggered_with_is_refused(world, wrong):
    for way in (world.trigger_with_options, world.plan_with_options):
        with pytest.raises(BadArgument):
            way(Waits, **wrong)
    assert world.persistence.find_execution_plans() == []
