"""What a plan looks like once it is stored: core B006–B039."""

from __future__ import annotations

from uuid import uuid4

import pytest
from actions_for_tests import (
    ISSUES,
    Ci,
    Commit,
    Dummy,
    DummyTrigger,
    DummyWithFinalize,
    FastCommit,
    IncomingIssues,
    Labelled,
)
from looking import action_of

from dynflow_mp import Action, DataError, PlanningError
from dynflow_mp.testing import assert_flow


class Letters(Action):
    """Plans what a test gives it, by actions named after letters."""

    how = None

    def plan(self):
        type(self).how(self)


def _letter(name):
    return type(name, (Action,), {"run": lambda self: None, "__module__": __name__, "__qualname__": name})


A, B, C, D, E, F, G = (_letter(name) for name in "ABCDEFG")


def test_b006_b008_a_stored_plan_s_actions_are_there_to_be_looked_at(world):
    plan = world.run(IncomingIssues, ISSUES)

    assert isinstance(plan.root_plan_step.action(plan), IncomingIssues)
    assert len(plan.steps) == 20
    assert {step.action(plan).phase for step in plan.steps.values()} == {"present"}


def test_b009_an_input_that_cannot_be_stored_is_a_planning_error(world):
    with pytest.raises(DataError, match=r"input\['bad'\]"):
        world.run(Ci, bad=object())


def test_b012_b013_the_label_is_the_class_name_or_what_the_action_says(world):
    assert world.run(Ci).label == "Ci"
    assert world.run(Labelled).label == "dummy_action"


def test_b014_a_plan_may_have_an_id_of_the_caller_s_choice(world):
    chosen = str(uuid4())

    assert world.plan_with_options(Ci, id=chosen).id == chosen
    assert world.execute(chosen).result().result == "success"
    with pytest.raises(PlanningError, match="not a UUID"):
        world.plan_with_options(Ci, id="chosen")


def test_b021_b022_a_plan_that_cannot_be_planned_is_stopped_at_the_first_error(world):
    failed = world.trigger(IncomingIssues, ["fail", *ISSUES])

    plan = world.persistence.load_execution_plan(failed.id)

    assert (failed.planned, plan.state, plan.result) == (False, "stopped", "error")
    assert [step.state for step in plan.steps.values()] == ["error", "error"]
    with pytest.raises(ValueError, match="cannot be planned"):
        world.run(IncomingIssues, ["fail"])


def test_b027_plan_steps_form_the_tree_of_who_planned_whom(world):
    plan = world.run(IncomingIssues, ISSUES[:1])

    def tree(action):
        return {type(action).__name__: [tree(child) for child in action.planned_actions()]}

    triage = {"Triage": [{"UpdateIssue": []}, {"NotifyAssignee": []}]}
    assert tree(plan.entry_action) == {"IncomingIssues": [{"IncomingIssue": [triage]}]}


def test_b029_dependencies_order_the_run_flow(world):
    assert_flow(world.plan(IncomingIssues, ISSUES), "concurrence(sequence(4, 7, 9), sequence(13, 16, 18))")


def test_b030_b031_inputs_show_their_references_before_they_are_resolved(world):
    plan = world.plan(IncomingIssues, ISSUES)

    update, notify = action_of(plan, 7), action_of(plan, 9)
    assert str(update.input["assignee"]) == "Step(4).output['classification']['assignee']"
    assert str(update.input["severity"]) == "Step(4).output['classification']['severity']"
    assert str(notify.input["triage"]) == "Step(4).output"


def test_b033_a_list_of_references_is_shown(world):
    plan = world.plan(Commit, "sha")

    assert [str(one) for one in action_of(plan, 9).input["review_results"]] == [
        "Step(5).output['passed']",
        "Step(7).output['passed']",
    ]


def test_b034_keywords_order_the_run_flow(world):
    plan = world.run(FastCommit, {"sha": "abc"})

    assert_flow(plan, "sequence(concurrence(3, 5), 7)")
    assert_flow(plan, "sequence(concurrence(Ci, Review), Merge)")


def test_b035_subscribers_of_an_action_without_run(world):
    assert_flow(world.run(DummyTrigger), "concurrence(DummySubscribe, DummyMultiSubscribe)")


def test_b037_finalize_steps_run_in_the_order_of_plan_self(world):
    assert_flow(world.plan(IncomingIssues, ISSUES), "sequence(5, 10, 14, 19, 20)", phase="finalize")


def test_b038_b039_flows_may_be_empty(world):
    empty = world.run(Dummy)
    assert_flow(empty, "concurrence()")
    assert_flow(empty, "sequence()", phase="finalize")

    only_finalize = world.run(DummyWithFinalize)
    assert_flow(only_finalize, "concurrence()")
    assert_flow(only_finalize, "sequence(DummyWithFinalize)", phase="finalize")


# -- the reference's worked examples (core §5.2) -------------------------------------------------------


def _first(action):
    a = action.plan_action(A)
    b = action.plan_action(B)
    c = action.plan_action(C, a=a.output["x"])
    action.plan_action(D, a=a.output["x"], b=b.output["x"])
    action.plan_action(E, c=c.output["x"])


def _third(action):
    a = action.plan_action(A)
    with action.sequence():
        action.plan_action(B)
        action.plan_action(C, a=a.output["x"])
    with action.concurrence():
        action.plan_action(D)
        with action.sequence():
            action.plan_action(E)
            with action.concurrence():
                action.plan_action(F)
                action.plan_action(G)


def _fifth(action):
    with action.sequence():
        action.plan_action(A)
        with action.concurrence():
            b = action.plan_action(B)
            action.plan_action(C)
            action.plan_action(D, b=b.output["x"])
        action.plan_action(E)
    action.plan_action(F)


def _sixth(action):
    a = action.plan_action(A)
    action.plan_action(B)
    with action.sequence():
        action.plan_action(C)
        with action.concurrence():
            action.plan_action(D, a=a.output["x"])
            action.plan_action(E)


@pytest.mark.parametrize(
    ("how", "flow"),
    [
        (_first, "sequence(concurrence(sequence(A, C), B), D, E)"),
        (_third, "concurrence(sequence(A, B, C), D, sequence(E, concurrence(F, G)))"),
        (_fifth, "concurrence(sequence(A, concurrence(C, sequence(B, D)), E), F)"),
        (_sixth, "concurrence(B, sequence(A, C, concurrence(D, E)))"),
    ],
)
def test_the_reference_s_examples_have_its_flows(world, how, flow):
    Letters.how = how

    assert_flow(world.plan(Letters), flow)
