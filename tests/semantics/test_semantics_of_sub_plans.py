"""Plans that actions make: core B132, B151–B186."""

from __future__ import annotations

import pytest
from telling_actions import Waits

from dynflow_mp import (
    Abort,
    Action,
    Cancel,
    Cancellable,
    Middleware,
    WithBulkSubPlans,
    WithPollingSubPlans,
    WithSubPlans,
)
from dynflow_mp.testing import InThreadWorld

BROKEN: set[str] = set()
"""What fails just now: ``plan`` or ``run`` of every child."""
MADE: list[int] = []
"""For which numbers sub-plans were made, in order."""


@pytest.fixture(autouse=True)
def _nothing_broken():
    BROKEN.clear()
    MADE.clear()


class Child(Action):
    def plan(self, **kwargs):
        if "plan" in BROKEN:
            raise RuntimeError("cannot be planned")
        self.plan_self(**kwargs)

    def run(self):
        if "run" in BROKEN:
            raise RuntimeError("cannot be run")


class WaitingChild(Cancellable):
    def run(self, event=None):
        if event is Cancel or event is Abort:
            super().run(event)
        elif event is None:
            self.suspend()

    def cancel(self):
        self.output["cancelled"] = True

    def abort(self):
        self.output["aborted"] = True


class Parent(WithSubPlans):
    def plan(self, count, kind="Child", level=None):
        if level is not None:
            self.limit_concurrency_level(level)
        self.plan_self(count=count, kind=kind)

    def create_sub_plans(self):
        kind = {"Child": Child, "WaitingChild": WaitingChild}[self.input["kind"]]
        return [self.trigger(kind, number=number) for number in range(self.input["count"])]


class Notifier(Action):
    """Wakes who is named in its input, once it is done."""

    def run(self):
        step = self.input["step"]
        self.plan_event("finish", execution_plan_id=step["plan_id"], step_id=step["step_id"])


class Caller(Action):
    """Triggers a plan like any other action, and waits for what that plan says."""

    def run(self, event=None):
        if event is None:
            self.trigger(Child)
            self.trigger(Notifier, step=self.suspended_action()._asdict())
            self.suspend()
        self.output["event"] = event


class PollingParent(WithPollingSubPlans, Parent):
    pass


class BulkParent(WithBulkSubPlans):
    batch_size = 5

    def plan(self, count):
        self.plan_self(count=count)

    def total_count(self):
        return self.input["count"]

    def batch(self, start, size):
        return range(start, min(start + size, self.input["count"]))

    def create_sub_plans(self):
        self.output["batches"] = self.output.get("batches", 0) + 1
        return [self.trigger(Child, number=number) for number in self.current_batch]


class Interrupts(Middleware):
    """Fails the first call around which it stands, when all in it has been done."""

    def run(self, *args):
        try:
            self.pass_on(*args)
        finally:
            if "middleware" in BROKEN:
                BROKEN.clear()
                raise RuntimeError("too late")


class WaitingBulkParent(BulkParent):
    """Lets two at a time run, which wait."""

    middleware = (Interrupts,)
    batch_size = 2

    def plan(self, count):
        self.limit_concurrency_level(2)
        self.plan_self(count=count)

    def create_sub_plans(self):
        MADE.extend(self.current_batch)
        for _ in self.current_batch[:]:
            self.trigger(WaitingChild)


class Chains(Action):
    """Triggers and does not wait."""

    def run(self):
        self.output["sub_plan"] = self.trigger(Waits).id


def counts(plan):
    output = plan.entry_action.output
    return tuple(output[f"{name}_count"] for name in ("total", "pending", "failed", "success"))


@pytest.mark.parametrize("parent", [Parent, PollingParent])
def test_b132_b151_b152_a_parent_ends_when_its_children_have(world, parent):
    plan = world.run(parent, 2)

    assert (plan.state, plan.result, counts(plan)) == ("stopped", "success", (2, 0, 0, 2))
    assert plan.sub_plans_count == 2
    assert [child.result for child in plan.sub_plans()] == ["success"] * 2


def test_b153_b156_b157_failed_children_fail_their_parent_until_all_are_mended(world):
    BROKEN.add("run")
    plan = world.run(Parent, 2)
    assert (plan.state, plan.result, counts(plan)) == ("paused", "error", (2, 0, 2, 0))

    assert world.execute(plan.id).result().state == "paused"
    BROKEN.clear()
    first, second = plan.sub_plans()
    world.execute(first.id)
    assert world.execute(plan.id).result().state == "paused"
    world.execute(second.id)

    ended = world.execute(plan.id).result()
    assert (ended.state, ended.result, counts(ended)) == ("stopped", "success", (2, 0, 0, 2))


@pytest.mark.parametrize("parent", [Parent, PollingParent])
def test_b155_b164_b185_children_that_could_not_be_planned_are_made_again(world, parent):
    BROKEN.add("plan")
    plan = world.run(parent, 3)
    assert (plan.state, counts(plan)) == ("paused", (3, 0, 3, 0))
    assert {child.state for child in plan.sub_plans()} == {"stopped"}

    BROKEN.clear()
    ended = world.execute(plan.id).result()

    assert (ended.state, ended.result, ended.sub_plans_count) == ("stopped", "success", 6)


@pytest.mark.parametrize(("force", "word"), [(False, "cancelled"), (True, "aborted")])
def test_b160_b161_cancel_and_abort_are_passed_on(world, force, word):
    triggered = world.trigger(Parent, 3, kind="WaitingChild")
    assert not triggered.finished.done()

    world.cancel(triggered.id, force)

    plan = triggered.finished.result()
    assert (plan.state, plan.result) == ("stopped", "success")
    assert [child.entry_action.output for child in plan.sub_plans()] == [{word: True}] * 3


def test_b167_a_failing_first_batch_stops_the_others(world):
    BROKEN.add("plan")
    plan = world.run(BulkParent, 20)
    assert (plan.state, plan.entry_action.output["batches"]) == ("paused", 1)

    BROKEN.clear()
    ended = world.execute(plan.id).result()

    assert (ended.result, ended.entry_action.output["batches"], counts(ended)) == (
        "success",
        5,
        (20, 0, 0, 20),
    )


def test_b181_never_more_children_at_once_than_the_limit(world):
    triggered = world.trigger(Parent, 5, kind="WaitingChild", level=2)

    def running():
        children = world.persistence.load_execution_plan(triggered.id).sub_plans()
        return [child for child in children if child.state == "running"]

    for left in (5, 4, 3, 2, 1):
        assert len(running()) == min(2, left)
        world.event(running()[0].id, 2, Cancel)

    assert triggered.finished.result().result == "success"


def test_b182_cancel_ends_what_was_held_back(world):
    triggered = world.trigger(Parent, 5, level=0)

    world.cancel(triggered.id)

    plan = triggered.finished.result()
    assert (plan.state, counts(plan)) == ("paused", (5, 0, 5, 0))
    assert {step.attempts for child in plan.sub_plans() for step in child.run_steps} == {0}


def test_a_parent_whose_executor_dies_has_each_child_once(world):
    """Core W8: completion is read from storage."""
    triggered = world.trigger(Parent, 3, kind="WaitingChild")

    world.kill_executor()
    for child in world.persistence.load_execution_plan(triggered.id).sub_plans():
        world.event(child.id, 2, Cancel)

    plan = triggered.finished.result()
    assert (plan.result, counts(plan), plan.sub_plans_count) == ("success", (3, 0, 0, 3), 3)


def test_a_worker_that_dies_after_triggering_has_triggered_nothing(world):
    world.lose_worker(at=Chains, ran=True)
    paused = world.run(Chains)
    assert (paused.state, paused.sub_plans_count) == ("paused", 0)

    plan = world.execute(paused.id).result()

    (sub_plan,) = plan.sub_plans()
    assert sub_plan.id == plan.entry_action.output["sub_plan"]
    assert world.event(sub_plan.id, 2, "finish").result()


def test_b132_an_action_that_only_triggered_a_plan_hears_nothing_but_its_own_events(world):
    plan = world.run(Caller)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output == {"event": "finish"}
    assert [child.result for child in plan.sub_plans()] == ["success", "success"]


def end_one_child(world, parent):
    child = next(one for one in loaded(world, parent).sub_plans() if one.state == "running")
    (step,) = child.run_steps
    world.event(child.id, step.id, "done").result()


def loaded(world, triggered):
    return world.persistence.load_execution_plan(triggered.id)


def test_sub_plans_that_were_deleted_while_others_are_still_made_are_not_made_again(slow_world):
    """Whoever deletes plans that have ended does not want their work done twice."""
    parent = slow_world.trigger(WaitingBulkParent, 5)
    for _ in range(3):
        end_one_child(slow_world, parent)
        slow_world.persistence.delete_execution_plans({"label": "WaitingChild", "state": "stopped"})
        slow_world.clock.advance(20)

    assert MADE == [0, 1, 2, 3, 4]

    end_one_child(slow_world, parent)
    end_one_child(slow_world, parent)
    slow_world.clock.advance(20)

    plan = loaded(slow_world, parent)
    assert MADE == [0, 1, 2, 3, 4]
    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["planned_count"] == 5


def test_a_batch_that_was_not_stored_with_its_call_is_made_again(slow_world):
    parent = slow_world.trigger(WaitingBulkParent, 4)
    end_one_child(slow_world, parent)
    BROKEN.add("middleware")
    end_one_child(slow_world, parent)
    slow_world.clock.advance(20)
    assert loaded(slow_world, parent).state == "paused"
    made = loaded(slow_world, parent).sub_plans_count

    slow_world.execute(parent.id)
    while any(child.state == "running" for child in loaded(slow_world, parent).sub_plans()):
        end_one_child(slow_world, parent)
        slow_world.clock.advance(20)

    plan = loaded(slow_world, parent)
    assert made < 4
    assert (plan.state, plan.sub_plans_count, plan.entry_action.output["success_count"]) == ("stopped", 4, 4)


def test_auto_execute_does_not_pass_a_limit_by(slow_world):
    parent = slow_world.trigger(Parent, 3, "WaitingChild", level=1)
    slow_world.auto_execute()

    plan = slow_world.persistence.load_execution_plan(parent.id)
    assert [child.state for child in plan.sub_plans()] == ["running", "planned", "planned"]


@pytest.mark.parametrize("after_a_death", [False, True])
def test_sub_plans_that_a_halted_plan_holds_back_end_with_it(slow_world, after_a_death):
    """Nobody would ever let them start. Those that run go their own ways."""
    parent = slow_world.trigger(Parent, 3, "WaitingChild", level=1)
    if after_a_death:
        slow_world.kill_executor()

    plan = slow_world.halt(parent.id).result()

    running, *held_back = plan.sub_plans()
    assert (plan.state, running.state) == ("stopped", "running")
    assert [(child.state, child.result) for child in held_back] == [("stopped", "error")] * 2
    assert f"Plan {plan.id}, which held it back, was halted" in held_back[0].failed_steps[0].error.message


def test_sub_plans_that_a_left_plan_holds_back_end_when_it_is_halted_where_it_lies(tmp_path):
    url = f"sqlite:///{tmp_path}/plans.db"
    with InThreadWorld(database_url=url, jump=False) as world:
        parent = world.trigger(Parent, 3, "WaitingChild", level=1)
    with InThreadWorld(database_url=url, jump=False) as other:
        plan = other.halt(parent.id).result()

        assert [child.state for child in plan.sub_plans()[1:]] == ["stopped"] * 2


class Spread(Parent):
    def plan(self, count, seconds):
        self.distribute_over_time(seconds, count)
        self.plan_self(count=count, kind="Child")


def test_b183_sub_plans_are_spread_over_the_world_s_time(slow_world):
    parent = slow_world.trigger(Spread, 4, 4)

    ended = []
    for _ in range(4):
        plan = slow_world.persistence.load_execution_plan(parent.id)
        ended.append(sum(child.state == "stopped" for child in plan.sub_plans()))
        slow_world.clock.advance(1)
    assert ended == [1, 2, 3, 4]
    assert slow_world.persistence.load_execution_plan(parent.id).result == "success"


def test_a_world_that_jumps_gets_to_the_end_of_a_spread(world, clock):
    assert world.run(Spread, 10, 3600).result == "success"
    assert clock.elapsed_s == pytest.approx(3600 * 9 / 10, abs=20)
