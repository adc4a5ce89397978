"""The same done to many plans in an in-thread world: done when ``run`` returns, in the calling thread."""

from __future__ import annotations

import threading

from telling_actions import Told, Waits

from dynflow_mp import Action, Cancellable


class Fails(Action):
    """Fails as often as it is run."""

    def run(self):
        self.error(f"no route to host {self.input['host']}")


class Stoppable(Cancellable, Action):
    def run(self, event=None):
        if event is None:
            self.suspend()


def loaded(world, plan_id):
    return world.persistence.load_execution_plan(plan_id)


def test_all_are_skipped_and_resumed_when_it_returns(world):
    ids = [world.run(Fails, host=number).id for number in range(3)]
    before = threading.enumerate()

    run = world.bulk("skip_and_resume", ids, by="ann").run()

    assert threading.enumerate() == before
    progress = run.finished.result(0)
    assert (progress.succeeded, progress.over, progress.stopped_because) == (3, True, None)
    assert [loaded(world, plan_id).result for plan_id in ids] == ["warning"] * 3


def test_it_stops_when_the_same_error_comes_back(world):
    ids = [world.run(Fails, host=number).id for number in range(6)]

    progress = world.bulk("resume", ids).run(stop_on_same_error=2, at_once=1).finished.result(0)

    assert (progress.failed, progress.left) == (2, 4)
    assert "the same error came back 2 times" in progress.stopped_because


def test_plans_are_cancelled_and_halted(world):
    stoppable, waiting = world.run(Stoppable), world.run(Waits)

    cancelled = world.bulk("cancel", [stoppable.id]).run().finished.result(0)
    halted = world.bulk("halt", [waiting.id, stoppable.id]).run().finished.result(0)

    assert (cancelled.succeeded, halted.succeeded, halted.skipped) == (1, 1, 1)
    assert [loaded(world, plan.id).state for plan in (stoppable, waiting)] == ["stopped", "stopped"]


def test_what_waits_for_an_event_is_counted_once_it_has_come(world):
    first, second = world.run(Waits), world.run(Waits)
    for plan in (first, second):
        world.event(plan.id, 2, "fail").result(0)
    plans = [first.id, second.id]
    run = world.bulk("resume", plans).run(at_once=1)

    assert (run.finished.done(), run.progress.running, run.progress.left) == (False, 1, 1)
    world.event(first.id, 2, "finish").result(0)
    assert (run.progress.succeeded, run.progress.running) == (1, 1)
    world.event(second.id, 2, "finish").result(0)

    assert run.finished.result(0).succeeded == 2


def test_told_to_stop_it_begins_nothing_more(world):
    plans = [world.run(Waits), world.run(Waits)]
    for plan in plans:
        world.event(plan.id, 2, "fail").result(0)
    run = world.bulk("resume", [plan.id for plan in plans]).run(at_once=1)

    run.stop()
    world.event(plans[0].id, 2, "finish").result(0)

    progress = run.finished.result(0)
    assert (progress.succeeded, progress.left, progress.stopped_because) == (1, 1, "it was told to")


def test_it_ends_with_its_world(world):
    plan = world.run(Waits)
    world.event(plan.id, 2, "fail").result(0)
    run = world.bulk("resume", [plan.id]).run()

    world.terminate().result(0)

    assert run.finished.result(0).stopped_because == "the world ended"


def test_nothing_to_do_is_done_at_once(world):
    done = world.run(Told)

    progress = world.bulk("resume", [done.id]).run().finished.result(0)

    assert (progress.skipped, progress.over) == (1, True)
