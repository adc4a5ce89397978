"""Plans that start at their time, or after others: core B122, B260–B279, B288."""

from __future__ import annotations

from datetime import timedelta

import pytest
from looking import history
from telling_actions import Told, Waits

from dynflow_mp import Action, BadArgument, DataError
from dynflow_mp.testing import InThreadWorld

HOUR = timedelta(hours=1)


class FailsToPlan(Action):
    def plan(self):
        raise ValueError("not today")


def now(world):
    return world.clock.current_time


def loaded(world, scheduled):
    return world.persistence.load_execution_plan(scheduled.id)


def test_b122_b260_a_delayed_plan_is_one_step_that_waits_for_its_time(world):
    scheduled = world.delay(Told, name="later", start_at=now(world) + HOUR)

    plan = loaded(world, scheduled)
    assert scheduled.scheduled
    assert (plan.state, plan.progress, len(plan.steps), history(plan)) == ("scheduled", 0, 1, ["delay"])
    assert [ping.due_s for ping in world.clock.pending_pings] == [3600]


def test_b264_it_is_planned_and_run_when_its_time_has_come(world):
    scheduled = world.delay(Told, name="later", start_at=now(world) + HOUR)

    world.clock.advance(3599)
    assert loaded(world, scheduled).state == "scheduled"
    world.clock.advance(1)

    plan = loaded(world, scheduled)
    assert (plan.state, plan.result) == ("stopped", "success")
    assert history(plan) == ["delay", "start execution", "finish execution"]
    assert world.clock.pending_pings == []


def test_plans_whose_time_differs_come_in_their_order(world):
    second = world.delay(Told, name="second", start_at=now(world) + 2 * HOUR)
    first = world.delay(Told, name="first", start_at=now(world) + HOUR)

    assert world.clock.progress()
    assert (loaded(world, first).state, loaded(world, second).state) == ("stopped", "scheduled")
    assert world.clock.progress()
    assert loaded(world, second).state == "stopped"


def test_that_somebody_waits_for_another_plan_brings_no_scheduled_one_forward(world):
    scheduled = world.delay(Told, start_at=now(world) + HOUR)

    world.trigger(Waits)

    assert loaded(world, scheduled).state == "scheduled"
    assert world.clock.elapsed_s == 0


def test_a_plan_elsewhere_or_whose_time_has_passed_is_run_at_once(world):
    elsewhere = world.plan_elsewhere(Told, name="elsewhere")
    passed = world.delay(Told, start_at=now(world) - HOUR)

    assert loaded(world, elsewhere).result == "success"
    assert loaded(world, passed).result == "success"


def test_b265_a_plan_that_could_not_start_in_time_stops_with_an_error(world):
    scheduled = world.delay(Told, start_at=now(world) + HOUR, start_before=now(world) + 2 * HOUR, frozen=True)
    world.clock.advance(3 * 3600)

    world.set_delayed_plan_frozen(scheduled.id, False)

    plan = loaded(world, scheduled)
    assert (plan.state, plan.result, history(plan)) == ("stopped", "error", ["delay", "timeout"])
    assert "could not be started before" in plan.errors[0].message


def test_a_delayed_plan_survives_its_executor(world):
    scheduled = world.delay(Told, start_at=now(world) + HOUR)

    world.kill_executor()
    world.clock.advance(3600)

    assert loaded(world, scheduled).result == "success"


def test_a_delayed_plan_outlives_its_world(tmp_path):
    url = f"sqlite:///{tmp_path}/plans.db"
    with InThreadWorld(database_url=url) as world:
        scheduled = world.delay(Told, start_at=now(world) + HOUR)

    with InThreadWorld(database_url=url) as other:
        other.go_on()
        assert loaded(other, scheduled).state == "scheduled"
        other.clock.advance(2 * 3600)
        assert loaded(other, scheduled).result == "success"


def test_b261_arguments_that_cannot_be_stored_are_refused_and_nothing_is_stored(world):
    with pytest.raises(DataError):
        world.delay(Told, bad=object(), start_at=now(world) + HOUR)
    with pytest.raises(BadArgument):
        world.delay(Told, start_at=now(world) + HOUR, start_before=now(world))

    assert world.persistence.count_execution_plans() == 0


def test_a_plan_whose_planning_fails_is_stopped_with_the_error(world):
    scheduled = world.plan_elsewhere(FailsToPlan)

    plan = loaded(world, scheduled)
    assert (plan.state, plan.result, plan.errors[0].message) == ("stopped", "error", "not today")


# -- chaining ------------------------------------------------------------------------------------------


def test_b275_b276_a_chained_plan_starts_when_the_last_it_comes_after_has_stopped(world):
    first, second = world.trigger(Waits), world.trigger(Waits)
    chained = world.chain([first.id, second.id], Told, name="last")

    world.event(first.id, 2, "finish")
    assert loaded(world, chained).state == "scheduled"
    world.event(second.id, 2, "finish")

    assert loaded(world, chained).result == "success"


def test_b278_a_failed_prerequisite_stops_what_comes_after_it(world):
    fine = world.run(Told)
    failed = world.trigger(FailsToPlan)

    chained = world.chain([fine.id, failed.id], Told)

    plan = loaded(world, chained)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert failed.id in plan.errors[0].message
    assert fine.id not in plan.errors[0].message


def test_b279_a_halted_prerequisite_is_none_that_failed(world):
    waits = world.trigger(Waits)
    chained = world.chain(waits.id, Told)

    world.halt(waits.id)

    assert loaded(world, chained).result == "success"


def test_b279_so_it_is_when_nobody_ran_it(world):
    planned, paused = world.plan(Told), world.run(Told, fail="run")
    after_planned, after_paused = world.chain(planned.id, Told), world.chain(paused.id, Told)

    world.halt(planned.id)
    world.halt(paused.id)

    assert loaded(world, after_planned).result == "success"
    assert loaded(world, after_paused).result == "error"  # as it was when it was halted


def test_a_prerequisite_that_was_deleted_keeps_nobody_waiting(world):
    paused = world.run(Told, fail="run")
    chained = world.chain(paused.id, Told)
    world.persistence.delete_execution_plans({"id": paused.id})

    world.go_on()

    assert loaded(world, chained).result == "success"


def test_b288_a_scheduled_plan_is_halted(world):
    scheduled = world.delay(Told, start_at=now(world) + HOUR)

    plan = world.halt(scheduled.id).result()

    assert (plan.state, plan.result) == ("stopped", "pending")
    world.clock.advance(7200)
    assert loaded(world, scheduled).state == "stopped"
    found = world.persistence.find_execution_plans(filters={"id": scheduled.id, "result": "pending"})
    assert [one.result for one in found] == ["pending"]


class NamedAfterItsInput(Told):
    def label(self):
        return f"Tell {self.input['name']}"


def test_a_label_that_needs_the_input_is_there_once_it_is_planned(world):
    scheduled = world.delay(NamedAfterItsInput, name="b", start_at=now(world) + HOUR)
    assert loaded(world, scheduled).label == "NamedAfterItsInput"

    world.clock.advance(3700)

    assert (loaded(world, scheduled).label, loaded(world, scheduled).result) == ("Tell b", "success")
