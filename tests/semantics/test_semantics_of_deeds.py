"""Who does what to plans: told in their histories, and only what was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from telling_actions import Waits

from dynflow_mp import Action, BadArgument, NotScheduled, NotSkippable, PlanStopped, RequestError
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.world.bulk import BulkPreview


class Picky(Action):
    """Fails unless ``n`` is 7."""

    def run(self):
        if self.input["n"] != 7:
            self.error(f"{self.input['n']} is not 7")


def deeds(world, plan_id=None):
    return [(deed.deed, deed.by) for deed in reversed(world.persistence.audits(plan_id))]


def told(world, plan_id):
    history = world.persistence.load_execution_plan(plan_id).execution_history
    return [(line.name, line.by) for line in history if line.by]


def test_a_failed_plan_is_put_right_and_tells_by_whom(world):
    plan = world.run(Picky, n=1)
    (step,) = plan.failed_steps

    world.edit_input(plan.id, step.id, {"n": 6}, by="ann")
    world.execute(plan.id, by="bob").result()
    world.edit_input(plan.id, step.id, {"n": 7}, replace=True, by="ann")
    ended = world.execute(plan.id, by="bob").result()

    assert ended.result == "success"
    assert told(world, plan.id) == [
        (f"edit input of step {step.id}: keys n", "ann"),
        ("resume", "bob"),
        (f"edit input of step {step.id}: all of it becomes keys n", "ann"),
        ("resume", "bob"),
    ]


def test_a_skipped_step_tells_by_whom(world):
    plan = world.run(Picky, n=1)
    (step,) = plan.failed_steps

    world.skip(plan.id, step.id, by="ann")

    assert told(world, plan.id) == [(f"skip step {step.id}", "ann")]


def test_a_running_plan_was_asked_to_do_what_it_did(world):
    plan = world.run(Waits)
    (step,) = plan.run_steps

    world.event(plan.id, step.id, "go on", by="eve").result()
    halted = world.run(Waits)
    world.halt(halted.id, by="hal").result()

    assert told(world, plan.id) == [(f"asked to send an event to step {step.id}", "eve")]
    assert told(world, halted.id) == [("asked to halt", "hal")]


def test_a_scheduled_plan_tells_who_kept_it_and_who_let_it_go(world):
    start_at = world.clock.current_time + timedelta(hours=1)
    scheduled = world.delay(Waits, start_at=start_at)

    world.set_delayed_plan_frozen(scheduled.id, by="ann")
    world.set_delayed_plan_frozen(scheduled.id, False, start_at + timedelta(hours=1), by="bob")
    world.set_delayed_plan_frozen(scheduled.id)  # nobody says who wants it

    later = f"{start_at + timedelta(hours=1):%Y-%m-%d %H:%M:%S} UTC"
    assert told(world, scheduled.id) == [("freeze", "ann"), (f"let go, to start at {later}", "bob")]
    assert deeds(world, scheduled.id) == told(world, scheduled.id)


def test_what_could_not_be_frozen_was_not(world):
    plan = world.run(Waits)

    with pytest.raises(NotScheduled):
        world.set_delayed_plan_frozen(plan.id, by="ann")
    with pytest.raises(BadArgument):
        world.set_delayed_plan_frozen(plan.id, by="")

    assert deeds(world, plan.id) == []


def test_a_plan_that_nobody_runs_was_halted(world):
    plan = world.plan(Waits)

    world.halt(plan.id, by="hal").result()

    assert told(world, plan.id) == [("halt", "hal")]


def test_a_scheduled_plan_was_cancelled(world):
    scheduled = world.delay(Waits, start_at=datetime(2100, 1, 1, tzinfo=UTC))

    world.cancel(scheduled.id, by="ann").result()

    assert told(world, scheduled.id) == [("cancel", "ann")]


def test_what_failed_is_told_of_nowhere(world):
    done = world.run(Picky, n=7)
    waits = world.run(Picky, n=1)

    with pytest.raises(NotSkippable):
        world.skip(waits.id, 1, by="ann")
    with pytest.raises(PlanStopped):
        world.execute(done.id, by="ann").result()
    with pytest.raises(PlanStopped):
        world.halt(done.id, by="ann").result()

    assert deeds(world) == []


@pytest.mark.parametrize("name", ["", "a\nb", "a" * 101, 7])
def test_what_is_no_name_is_refused_before_anything_is_done(world, name):
    plan = world.run(Picky, n=1)
    (step,) = plan.failed_steps
    attempts = [
        lambda: world.execute(plan.id, by=name),
        lambda: world.skip(plan.id, step.id, by=name),
        lambda: world.cancel(plan.id, by=name),
        lambda: world.halt(plan.id, by=name),
        lambda: world.edit_input(plan.id, step.id, {"n": 7}, by=name),
        lambda: world.event(plan.id, step.id, 1, by=name),
        lambda: world.invalidate("nobody", by=name),
        lambda: world.drain("nobody", by=name),
    ]

    for attempt in attempts:
        with pytest.raises(BadArgument, match="by="):
            attempt()

    assert deeds(world) == []
    assert world.persistence.load_execution_plan(plan.id).state == "paused"


def test_who_gives_no_name_leaves_none(world):
    plan = world.run(Picky, n=1)

    world.execute(plan.id).result()
    world.skip(plan.id, plan.failed_steps[0].id)
    world.halt(plan.id).result()

    assert deeds(world) == []


def test_its_workers_are_told_of_and_it_does_not_end_for_others(world):
    world.run(Picky, n=7)

    told = world.workers_report(world.executor_id).result()

    (worker,) = told.workers
    assert (worker.state, worker.queue, worker.steps_done) == ("idle", "default", 1)
    assert told.queues[0].size == 1
    with pytest.raises(RequestError, match="is no supervisor"):
        world.drain(world.executor_id).result()
    with pytest.raises(RequestError, match="is a client"):
        world.workers_report(world.id).result()
    with pytest.raises(RequestError, match="is no supervisor"):
        world.drain(world.id).result()


def test_plans_for_a_bulk_are_chosen_as_lists_of_plans_are(world):
    failed = [world.run(Picky, n=n).id for n in range(3)]
    world.run(Picky, n=7)
    query = PlanQuery.from_params([("state", "paused"), ("error", "is not 7"), ("per_page", "1")])

    bulk = world.bulk("resume", query, by="ann")

    assert sorted(bulk.plan_ids) == sorted(failed)
    assert bulk.preview() == BulkPreview(3, 3, {})
    assert world.bulk("cancel", query).preview().refused == {"is paused: nothing of it can be cancelled": 3}
    assert deeds(world) == []
