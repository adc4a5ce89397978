"""Actions that have their work done by plans of their own."""

import time

import pytest
from sub_plan_actions import (
    BulkParent,
    Child,
    FireAndForget,
    Grandparent,
    Nested,
    Parent,
    PollingParent,
    TriggersInPlan,
    TriggersNonsense,
    TriggersThenDies,
)
from watching import lines_of, run, wait_until

from dynflow_mp import BadArgument

APPS = ["sub_plan_actions"]


def counts(plan):
    output = plan.entry_action.output
    return tuple(output[f"{name}_count"] for name in ("total", "pending", "failed", "success"))


def ends(plans):
    return {(plan.state, plan.result) for plan in plans}


def run_step(plan):
    (step,) = [step for step in plan.steps.values() if step.phase == "run"]
    return step


def resumed(world, plan_id):
    return world.execute(plan_id).result(30)


def suspended_children(world, plan_id, number):
    """The sub-plans, once so many of them wait."""

    def looked():
        found = world.persistence.load_execution_plan(plan_id).sub_plans()
        waiting = [plan for plan in found if run_step(plan).state == "suspended"]
        return found if len(waiting) == number else None

    return wait_until(looked, what=f"the suspension of {number} sub-plans")


@pytest.mark.every_database
class TestWaiting:
    """The parent waits for its children, whatever database they are stored in."""

    @pytest.mark.parametrize("parent", [Parent, PollingParent])
    def test_b132_b151_b152_a_parent_ends_when_its_children_have(self, world, parent):
        """B151: their number; B152: the counts; B132: a plan that an action triggered in run wakes it."""
        plan = run(world, parent, 2)

        assert (plan.state, plan.result) == ("stopped", "success")
        assert counts(plan) == (2, 0, 0, 2)
        assert plan.entry_action.output["finished"] is True
        assert plan.sub_plans_count == 2
        assert plan.entry_action.sub_plans_count == 2
        assert {child.caller_execution_plan_id for child in plan.entry_action.sub_plans()} == {plan.id}
        assert ends(plan.sub_plans()) == {("stopped", "success")}

    def test_b153_b156_b157_children_that_fail_fail_the_parent_until_all_are_mended(self, world, tmp_path):
        broken = tmp_path / "broken"
        broken.touch()

        plan = run(world, Parent, 2, run_fails=str(broken))

        assert (plan.state, plan.result) == ("paused", "error")
        assert counts(plan) == (2, 0, 2, 0)
        assert "SubPlanFailed" in plan.errors[0].exception_class
        assert plan.errors[0].message == "A sub task failed"
        first, second = plan.sub_plans()
        assert (first.state, first.result) == ("paused", "error")

        assert resumed(world, plan.id).state == "paused"  # B156: nothing was mended

        broken.unlink()
        assert resumed(world, first.id).result == "success"
        assert resumed(world, plan.id).state == "paused"  # B157: one is still paused

        assert resumed(world, second.id).result == "success"
        ended = resumed(world, plan.id)
        assert (ended.state, ended.result) == ("stopped", "success")
        assert counts(ended) == (2, 0, 0, 2)

    @pytest.mark.parametrize("parent", [Parent, PollingParent])
    def test_b155_b164_b185_children_that_could_not_be_planned_are_made_again(self, world, tmp_path, parent):
        broken = tmp_path / "broken"
        broken.touch()

        plan = run(world, parent, 3, plan_fails=str(broken))

        assert (plan.state, plan.result) == ("paused", "error")
        assert counts(plan) == (3, 0, 3, 0)
        assert ends(plan.sub_plans()) == {("stopped", "error")}  # B185

        broken.unlink()
        ended = resumed(world, plan.id)

        assert (ended.state, ended.result) == ("stopped", "success")
        assert counts(ended) == (3, 0, 0, 3)
        assert ended.sub_plans_count == 6  # B164: a second generation

    def test_b167_a_failing_first_batch_stops_the_others(self, world, tmp_path):
        broken = tmp_path / "broken"
        broken.touch()

        plan = run(world, BulkParent, 20, plan_fails=str(broken))

        assert plan.state == "paused"
        assert plan.entry_action.output["batches"] == 1

        broken.unlink()
        ended = resumed(world, plan.id)

        assert (ended.state, ended.result) == ("stopped", "success")
        assert ended.entry_action.output["batches"] == 5
        assert counts(ended) == (20, 0, 0, 20)
        assert ended.entry_action.output["planned_count"] == 20

    def test_b160_b161_cancel_and_abort_are_passed_on(self, world):
        for force, word in ((False, "cancelled"), (True, "aborted")):
            triggered = world.trigger(Parent, 3, kind="Waiter")
            suspended_children(world, triggered.id, 3)

            world.cancel(triggered.id, force).result(10)

            plan = triggered.finished.result(20)
            assert (plan.state, plan.result) == ("stopped", "success")
            assert [child.entry_action.output for child in plan.sub_plans()] == [{word: True}] * 3

    def test_b182_cancel_ends_what_was_held_back(self, world, tmp_path):
        log = tmp_path / "log"
        triggered = world.trigger(Parent, 5, level=0, log=str(log))
        wait_until(
            lambda: world.persistence.load_execution_plan(triggered.id).sub_plans_count == 5,
            what="the making of the sub-plans",
        )

        world.cancel(triggered.id).result(10)

        plan = triggered.finished.result(20)
        assert (plan.state, plan.result) == ("paused", "error")
        assert counts(plan) == (5, 0, 5, 0)
        assert ends(plan.sub_plans()) == {("stopped", "error")}
        assert plan.sub_plans()[0].errors[0].message == "The task was cancelled."
        assert lines_of(log) == []  # none ever ran
        assert resumed(world, plan.id).state == "paused"  # nor are they made again


def test_triggered_in_run_and_not_waited_for(world, tmp_path):
    plan = run(world, FireAndForget, given={"log": str(tmp_path / "log")})

    assert plan.result == "success"
    assert plan.entry_action.output["failed"] == [False, False]
    children = wait_until(
        lambda: [child for child in plan.sub_plans() if child.state == "stopped"][1:] and plan.sub_plans(),
        what="the end of both sub-plans",
    )
    assert [child.id for child in children] == plan.entry_action.output["ids"]
    assert sorted(lines_of(tmp_path / "log")) == ["begin 0", "begin 1", "end 0", "end 1"]


def test_a_call_that_fails_has_triggered_nothing(world, tmp_path):
    broken = tmp_path / "broken"
    broken.touch()

    plan = run(world, FireAndForget, given={}, then_fails=str(broken))
    assert plan.state == "paused"
    assert plan.sub_plans() == []

    broken.unlink()
    assert resumed(world, plan.id).sub_plans_count == 2


def test_a_worker_that_dies_after_triggering_has_triggered_nothing(world, tmp_path):
    log = tmp_path / "log"

    plan = run(world, TriggersThenDies, log=str(log), once=str(tmp_path / "once"))

    assert plan.state == "paused"
    assert plan.sub_plans_count == 0
    assert resumed(world, plan.id).result == "success"
    wait_until(lambda: lines_of(log) == ["begin 1", "end 1"], what="the one sub-plan")


def test_trigger_is_there_in_run_only(world):
    answer = world.trigger(TriggersInPlan)

    assert not answer.triggered
    assert "trigger is there in phase run" in str(answer.error)


def test_what_is_no_action_cannot_be_triggered(world):
    plan = run(world, TriggersNonsense)

    assert plan.state == "paused"
    assert "PlanningError" in plan.errors[0].exception_class


def test_b159_the_root_action_knows_that_it_is(world):
    plan = run(world, Parent, 1, kind="Nested")

    (child,) = plan.sub_plans()
    assert plan.entry_action.root_action
    assert child.entry_action.root_action
    assert [action.root_action for action in child.actions if isinstance(action, Child)] == [False]
    assert isinstance(child.entry_action, Nested)


def test_no_children_are_a_success(world):
    plan = run(world, Parent, 0)

    assert plan.result == "success"
    assert counts(plan) == (0, 0, 0, 0)


@pytest.mark.parametrize(("parent", "more"), [(Parent, {}), (BulkParent, {"size": 3})])
def test_b181_never_more_children_at_once_than_the_limit(world, tmp_path, parent, more):
    log = tmp_path / "log"

    plan = run(world, parent, 10, level=1, log=str(log), takes_s=0.02, **more)

    assert plan.result == "success"
    assert counts(plan) == (10, 0, 0, 10)
    words = [line.split()[0] for line in lines_of(log)]
    assert words == ["begin", "end"] * 10


def test_b186_what_could_not_start_in_time_is_ended_and_the_others_finish(world):
    triggered = world.trigger(Parent, 4, kind="Waiter", level=2, window=(0.5, 2))
    found = suspended_children(world, triggered.id, 2)
    wait_until(
        lambda: [
            child
            for child in world.persistence.load_execution_plan(triggered.id).sub_plans()
            if child.state == "stopped"
        ][1:],
        what="the end of the two that waited",
    )

    for child in found:
        if run_step(child).state == "suspended":
            world.event(child.id, run_step(child).id, "go").result(10)

    plan = triggered.finished.result(20)
    assert plan.state == "paused"
    assert counts(plan) == (4, 0, 2, 2)
    assert {error.message for child in plan.sub_plans() for error in child.errors} == {
        "The task could not be started within the maintenance window."
    }


def test_spread_over_time_they_start_one_after_the_other(world, tmp_path):
    began = time.monotonic()

    plan = run(world, Parent, 4, window=(0.8, 4), log=str(tmp_path / "log"))

    assert plan.result == "success"
    assert time.monotonic() - began >= 0.6  # at 0, 0.2, 0.4 and 0.6 s


def test_b168_a_finished_bulk_parent_has_nothing_left_to_make(world):
    plan = run(world, BulkParent, 7)

    output = plan.entry_action.output
    assert output["batches"] == 2
    assert output["planning_finished"] == 1  # B163
    assert (output["planned_count"], output["cancelled_count"]) == (7, 0)
    assert plan.entry_action.can_spawn_next_batch is False
    assert list(plan.entry_action.current_batch) == []


def test_b165_paused_children_fail_a_polling_parent_until_they_are_resumed(world, tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    plan = run(world, PollingParent, 2, run_fails=str(broken))
    assert plan.state == "paused"

    broken.unlink()
    for child in plan.sub_plans():
        assert resumed(world, child.id).result == "success"

    assert resumed(world, plan.id).result == "success"


def test_the_progress_of_a_parent_is_the_part_of_its_children_that_has_ended(world):
    triggered = world.trigger(Parent, 4, kind="Waiter")
    first, second, *others = suspended_children(world, triggered.id, 4)

    for child in (first, second):
        world.event(child.id, run_step(child).id, "go").result(10)

    wait_until(
        lambda: world.persistence.load_execution_plan(triggered.id).progress == pytest.approx(0.5),
        what="half of the progress",
    )
    for child in others:
        world.event(child.id, run_step(child).id, "go").result(10)
    assert triggered.finished.result(20).progress == 1.0


def test_a_tree_of_plans_is_resumed_at_once(world, tmp_path):
    """The plans at its leaves failed, and so did all above them."""
    broken = tmp_path / "broken"
    broken.touch()
    plan = run(world, Grandparent, 2, run_fails=str(broken))
    assert plan.state == "paused"
    assert ends(child for parent in plan.sub_plans() for child in parent.sub_plans()) == {("paused", "error")}

    broken.unlink()
    ended = world.execute(plan.id, sub_plans=True).result(30)

    assert (ended.state, ended.result) == ("stopped", "success")
    assert ended.sub_plans_count == 2
    assert ends(child for parent in ended.sub_plans() for child in parent.sub_plans()) == {
        ("stopped", "success")
    }


def test_cancel_goes_down_the_tree(world):
    triggered = world.trigger(Grandparent, 2, kind="Waiter")
    below = wait_until(
        lambda: (
            [
                child
                for parent in world.persistence.load_execution_plan(triggered.id).sub_plans()
                for child in parent.sub_plans()
                if run_step(child).state == "suspended"
            ][3:]
            and world.persistence.load_execution_plan(triggered.id).sub_plans()
        ),
        what="the suspension of four grandchildren",
    )

    world.cancel(triggered.id).result(10)

    plan = triggered.finished.result(20)
    assert (plan.state, plan.result) == ("stopped", "success")
    leaves = [child for parent in below for child in parent.sub_plans()]
    assert [leaf.entry_action.output for leaf in leaves] == [{"cancelled": True}] * 4


def test_what_is_no_flag_is_refused(world):
    with pytest.raises(BadArgument, match="sub_plans"):
        world.execute("01a21459-4a42-78f8-87e0-8a31808d5343", sub_plans="yes")
