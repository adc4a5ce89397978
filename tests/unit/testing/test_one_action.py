"""Actions taken through their phases one at a time (core §24, B371–B377)."""

from __future__ import annotations

import pytest
from actions_for_tests import (
    ISSUES,
    Ci,
    Commit,
    Dummy,
    DummyWithFinalize,
    Merge,
    NotifyAssignee,
    Review,
    Triage,
)

from dynflow_mp import Action, DataError, MissingOutput, PlanningError
from dynflow_mp.testing import (
    ManagedClock,
    WakeUp,
    assert_action_planned,
    assert_action_planned_with,
    assert_finalize_phase,
    assert_flow,
    assert_run_phase,
    clock_of,
    create_action,
    create_action_presentation,
    create_and_plan_action,
    finalize_action,
    plan_action,
    progress_action_time,
    refute_action_planned,
    refute_finalize_phase,
    refute_run_phase,
    run_action,
    state_of,
    stub_planned_action,
)


class Polled(Action):
    """Looks after an external task every second, ten percent at a time."""

    def run(self, event=None):
        if event is None:
            self.output["task"] = {"progress": 0}
        else:
            self.output["task"]["progress"] += 10
        self.output["polls"] = self.output.get("polls", -1) + 1
        if self.output["task"]["progress"] < 100:
            self.plan_event("poll", delay_s=1)
            self.suspend()

    def run_progress(self):
        return self.output["task"]["progress"] / 100


class AsksTwice(Action):
    def run(self, event=None):
        if event is None:
            self.plan_event("at once")
            self.plan_event("later", delay_s=1000)
            self.suspend()
        self.output.setdefault("heard", []).append(event)
        if event != "later":
            self.suspend()


class Broken(Action):
    def run(self, event=None):
        if event == "break":
            raise self.failure
        self.suspend()

    failure = OSError(28, "no space left")


class Written(Action):
    def run(self):
        self.output["sum"] = self.reach_outside() + self.input["more"]

    def reach_outside(self):
        raise ConnectionError("not in a test")

    def finalize(self):
        self.output["doubled"] = self.output["sum"] * 2

    def humanized_output(self):
        return f"it came to {self.output['sum']}"


class Unstorable(Action):
    def run(self):
        self.output["bad"] = [object()]


class Uncalled(Action):
    def plan(self):
        pass

    def run(self):
        pass


class FailsToPlan(Action):
    def plan(self):
        raise LookupError("not today")


class AsksItsChild(Action):
    def plan(self):
        child = self.plan_action(Ci)
        self.plan_self(greeting=child.hello())

    def run(self):
        pass


# -- plan ----------------------------------------------------------------------------------------------


def test_b371_a_stub_adds_a_method_to_a_planned_action():
    action = create_action(AsksItsChild)
    stub_planned_action(action, Ci, lambda child: setattr(child, "hello", lambda: "hello"))

    plan_action(action)

    assert action.input == {"greeting": "hello"}


def test_b375_a_commit_plans_its_check_and_its_reviews():
    commit = create_and_plan_action(Commit, "sha")

    refute_run_phase(commit)
    refute_finalize_phase(commit)
    assert_action_planned(commit, Ci)
    assert len(assert_action_planned(commit, Review)) == 2
    assert_action_planned_with(commit, Review, commit="sha", reviewer="Neo", accept=True)
    assert_action_planned_with(commit, Review, lambda **review: review["reviewer"] == "Morfeus")
    refute_action_planned(commit, Triage)


def test_a_planned_actions_output_is_a_reference_and_orders_the_flow():
    commit = create_and_plan_action(Commit, "sha")

    (merge,) = assert_action_planned(commit, Merge)
    (ci,) = assert_action_planned(commit, Ci)

    assert_action_planned_with(commit, Merge, lambda ci_result, **_: ci_result == ci.output["passed"])
    assert isinstance(merge, Merge)
    assert_flow(commit, "sequence(concurrence(Ci, Review, Review), Merge)")


def test_what_plan_raises_is_raised():
    with pytest.raises(LookupError, match="not today"):
        create_and_plan_action(FailsToPlan)


def test_wrong_arguments_of_a_planned_action_are_an_error_as_in_a_real_plan():
    class Wrong(Action):
        def plan(self):
            self.plan_action(Triage)

    with pytest.raises(TypeError, match="issue"):
        create_and_plan_action(Wrong)


def test_an_action_is_planned_once():
    planned = create_and_plan_action(Ci)

    with pytest.raises(PlanningError, match="planned already"):
        plan_action(planned)


def test_a_subscriber_is_planned_on_behalf_of_its_trigger():
    triage = create_and_plan_action(Triage, ISSUES[0])

    notify = plan_action(create_action(NotifyAssignee, trigger=triage), ISSUES[0])

    assert notify.from_subscription
    assert notify.input == {"triage": triage.output}
    refute_action_planned(triage, NotifyAssignee)


def test_what_is_no_action_class_is_refused():
    with pytest.raises(TypeError, match="not an action class"):
        create_action(dict)


# -- run -----------------------------------------------------------------------------------------------


def test_b372_an_action_runs_on_a_copy_with_the_same_input():
    planned = create_and_plan_action(Ci, commit="sha")

    ran = run_action(planned)

    assert (ran.phase, ran.state) == ("run", "success")
    assert ran is not planned
    assert ran.input == planned.input
    assert ran.execution_plan_id == planned.execution_plan_id
    assert ran.run_step_id == planned.run_step_id != planned.plan_step_id


def test_b373_time_is_wound_by_hand():
    ran = run_action(create_and_plan_action(Polled))
    assert (ran.state, ran.output["task"]["progress"], ran.run_progress()) == ("suspended", 0, 0)

    for _ in range(3):
        assert progress_action_time(ran)
    assert (ran.output["task"]["progress"], state_of(ran).progress_done) == (30, 0.3)
    assert clock_of(ran).elapsed_s == 3

    run_action(ran, "poll")
    run_action(ran, "poll")
    assert ran.output == {"task": {"progress": 50}, "polls": 5}

    while progress_action_time(ran):
        pass
    assert (ran.state, ran.output["polls"], ran.run_progress()) == ("success", 10, 1)


def test_b134_an_event_without_a_time_comes_before_those_with_one():
    """B133: the other waits for its time."""
    ran = run_action(create_and_plan_action(AsksTwice))
    step_id = ran.run_step_id

    assert [ping.due_s for ping in clock_of(ran).pending_pings] == [1000]
    assert state_of(ran).events == (WakeUp(step_id, "at once"), WakeUp(step_id, "later"))

    progress_action_time(ran)
    assert (ran.state, clock_of(ran).elapsed_s) == ("suspended", 0)
    progress_action_time(ran)
    assert (ran.state, ran.output) == ("success", {"heard": ["at once", "later"]})
    assert progress_action_time(ran) is None


def test_what_run_raises_is_raised_itself():
    ran = run_action(create_and_plan_action(Broken))

    with pytest.raises(OSError, match="no space left") as caught:
        run_action(ran, "break")

    assert caught.value is Broken.failure
    assert (ran.state, state_of(ran).error.exception_class) == ("error", "OSError")


def test_b010_an_output_that_cannot_be_stored_is_raised_with_its_place():
    with pytest.raises(DataError, match=r"output\['bad'\]\[0\]"):
        run_action(create_and_plan_action(Unstorable))


def test_b009_an_input_that_cannot_be_stored_is_raised_with_its_place():
    with pytest.raises(DataError, match=r"input\['bad'\]"):
        create_and_plan_action(Ci, bad=object())


def test_b376_a_review_passes_on_what_it_was_told():
    review = create_and_plan_action(Review, commit="sha", reviewer="Neo", accept=True)

    assert_run_phase(review, {"commit": "sha", "reviewer": "Neo", "accept": True})
    assert run_action(review).output == {"passed": True}


@pytest.mark.parametrize(
    ("ci", "reviews", "passed"), [(True, [True, True], True), (True, [True, False], False)]
)
def test_b377_a_merge_passes_only_if_all_do(ci, reviews, passed):
    merge = create_and_plan_action(Merge, ci_result=ci, review_results=reviews)

    assert run_action(merge).output == {"passed": passed}


def test_outputs_of_planned_actions_may_be_given():
    commit = create_and_plan_action(Commit, "sha")
    (ci,) = assert_action_planned(commit, Ci)
    later = plan_action(
        create_action(Merge, trigger=commit), ci_result=ci.output["passed"], review_results=[]
    )

    with pytest.raises(MissingOutput) as caught:
        run_action(later)
    assert "outputs=" in caught.value.__notes__[0]
    assert run_action(later, outputs={ci: {"passed": True}}).input == {
        "ci_result": True,
        "review_results": [],
    }


def test_a_stub_replaces_what_reaches_outside_in_every_call():
    planned = create_and_plan_action(Written, more=1)

    ran = run_action(planned, stub=lambda action: setattr(action, "reach_outside", lambda: 41))

    assert ran.output == {"sum": 42}
    assert run_action(ran).output == {"sum": 42}


def test_an_action_without_a_run_step_cannot_run():
    with pytest.raises(TypeError, match="no run step"):
        run_action(create_and_plan_action(Dummy))
    with pytest.raises(TypeError, match="plan_action comes first"):
        assert_run_phase(create_action(Ci))
    with pytest.raises(TypeError, match="has not run"):
        progress_action_time(create_and_plan_action(Ci))


def test_a_clock_may_be_shared():
    clock = ManagedClock()

    ran = run_action(plan_action(create_action(Polled, clock=clock)))
    clock.advance(0.5)
    progress_action_time(ran)

    assert clock.elapsed_s == 1


# -- finalize and present ------------------------------------------------------------------------------


def test_finalize_has_the_output_that_run_left():
    ran = run_action(
        create_and_plan_action(Written, more=1),
        stub=lambda action: setattr(action, "reach_outside", lambda: 4),
    )

    finalized = finalize_action(ran)

    assert (finalized.phase, finalized.state) == ("finalize", "success")
    assert finalized.output == {"sum": 5, "doubled": 10}


def test_finalize_of_an_action_without_run():
    planned = create_and_plan_action(DummyWithFinalize)

    assert_finalize_phase(planned)
    refute_run_phase(planned)
    assert finalize_action(planned).output == {"finalized": True}


def test_what_finalize_raises_is_raised():
    with pytest.raises(KeyError, match="sum"):
        finalize_action(create_and_plan_action(Written, more=1))


def test_an_action_can_be_looked_at():
    shown = create_action_presentation(Written, output={"sum": 3})

    assert shown.humanized_output() == "it came to 3"
    shown.output = {"sum": 4}
    assert shown.humanized_output() == "it came to 4"
    assert (shown.phase, shown.run_step_id, shown.planned_actions()) == ("present", None, [])


def test_what_is_looked_at_has_a_state_and_a_summary():
    assert create_action_presentation(Written).humanized_state() == "success"

    shown = create_action_presentation(Written, state="suspended")
    assert (shown.state, shown.humanized_state(), shown.summary()) == ("suspended", "suspended", "")


# -- what failing assertions say -----------------------------------------------------------------------


def message_of(assertion, *args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


def test_failing_assertions_say_what_was_planned_instead():
    commit = create_and_plan_action(Commit, "sha")

    said = message_of(assert_action_planned_with, commit, Review, reviewer="Trinity")

    assert said.startswith("Commit planned no Review with Review(reviewer='Trinity')\nit planned:\n")
    assert "  Review(commit='sha', reviewer='Neo', accept=True)" in said
    assert "planned no Triage" in message_of(assert_action_planned, commit, Triage)
    assert "planned Ci" in message_of(refute_action_planned, commit, Ci)
    assert "planned nothing" in message_of(assert_action_planned, create_and_plan_action(Ci), Ci)


def test_failing_assertions_say_why_there_is_no_step():
    assert "has no run()" in message_of(assert_run_phase, create_and_plan_action(Dummy))
    assert "did not call plan_self" in message_of(assert_run_phase, create_and_plan_action(Uncalled))
    assert "{'a': 1}" in message_of(assert_run_phase, create_and_plan_action(Ci, a=1), {"a": 2})
    assert "too_small" in message_of(assert_run_phase, create_and_plan_action(Ci, a=1), too_small)
    assert "has a run step" in message_of(refute_run_phase, create_and_plan_action(Ci))
    assert "has a finalize step" in message_of(
        refute_finalize_phase, create_and_plan_action(DummyWithFinalize)
    )
    assert "has no finalize()" in message_of(assert_finalize_phase, create_and_plan_action(Ci))


def too_small(given):
    return given["a"] > 1


def test_arguments_by_place_and_by_name_are_the_same():
    class Parent(Action):
        def plan(self):
            self.plan_action(Triage, {"text": "ok"})

    assert_action_planned_with(create_and_plan_action(Parent), Triage, issue={"text": "ok"})
