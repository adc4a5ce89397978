"""Plans as the specification pins them: ids, states, flows, inputs, errors."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest
from actions_for_tests import (
    ISSUES,
    Commit,
    Dummy,
    DummyMultiSubscribe,
    DummySubscribe,
    DummyTrigger,
    DummyWithFinalize,
    FastCommit,
    IncomingIssues,
    Labelled,
    NotifyAssignee,
    Triage,
    Weighted,
)

from dynflow_mp import Action, DataError, PlanningError, RescueStrategy, StepError, WrongPhase
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.subscriptions import subscribers_of
from dynflow_mp.model.codec import decode
from dynflow_mp.model.plans import PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.planning.planner import Planned, plan

PLAN_ID = "0193f0c5-0000-7000-8000-000000000001"


def planned(kind: type[Action], *args: Any, **kwargs: Any) -> Planned:
    clock = count(1_000_000, 1_000)
    return plan(kind, args, kwargs, now=lambda: next(clock), new_id=lambda: PLAN_ID)


def plan_of(kind: type[Action], *args: Any, **kwargs: Any) -> PlannedPlan:
    result = planned(kind, *args, **kwargs)
    if result.error is not None:
        raise result.error
    return result.plan


def step_of(made: PlannedPlan, step_id: int) -> PlannedStep:
    (step,) = [step for step in made.steps if step.id == step_id]
    return step


def action_of(made: PlannedPlan, step_id: int) -> PlannedAction:
    return made.actions[step_of(made, step_id).action_id - 1]


def short(name: str) -> str:
    return name.rpartition(".")[2]


def error_of(step: PlannedStep) -> ErrorRecord:
    assert step.error is not None
    return ErrorRecord.from_bytes(step.error)


class Work(Action):
    def run(self) -> None:
        pass


# -- numbers -----------------------------------------------------------------------------------------


def test_the_worked_example_has_its_twenty_steps() -> None:
    """Core §2: ids of plan, run and finalize steps of IncomingIssues with two issues."""
    made = plan_of(IncomingIssues, ISSUES)

    issue = "plan IncomingIssue", "plan Triage", "run Triage", "finalize Triage"
    rest = "plan UpdateIssue", "run UpdateIssue"
    notify = "plan NotifyAssignee", "run NotifyAssignee", "finalize NotifyAssignee"
    assert [f"{step.phase} {short(step.action_class)}" for step in made.steps] == [
        "plan IncomingIssues",
        *(*issue, *rest, *notify),
        *(*issue, *rest, *notify),
        "finalize IncomingIssues",
    ]
    assert [step.id for step in made.steps] == list(range(1, 21))
    assert [action.id for action in made.actions] == list(range(1, 10))


def test_b027_plan_steps_form_the_tree_of_who_planned_whom() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    children = {step.id: step.children for step in made.steps if step.phase is Phase.PLAN}
    assert children == {
        1: (2, 11),
        2: (3,),
        3: (6, 8),
        6: (),
        8: (),
        11: (12,),
        12: (15, 17),
        15: (),
        17: (),
    }


def test_every_step_belongs_to_its_action_and_every_action_to_its_caller() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    triage = made.actions[2]
    assert (triage.plan_step_id, triage.run_step_id, triage.finalize_step_id) == (3, 4, 5)
    assert [action.caller_action_id for action in made.actions] == [None, 1, 2, 3, 3, 1, 6, 7, 7]
    assert {action.caller_plan_id for action in made.actions} == {None}


# -- flows -------------------------------------------------------------------------------------------


def test_b029_dependencies_order_the_run_flow() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    assert str(made.run_flow) == "concurrence(sequence(4, 7, 9), sequence(13, 16, 18))"


def test_b034_keywords_order_the_run_flow() -> None:
    made = plan_of(FastCommit, {"sha": "abc123"})

    assert str(made.run_flow) == "sequence(concurrence(3, 5), 7)"


def test_b033_a_list_of_references_orders_the_run_flow() -> None:
    made = plan_of(Commit, "abc123")

    assert str(made.run_flow) == "sequence(concurrence(3, 5, 7), 9)"
    assert made.dependencies == [(5, (2, 3, 4))]


def test_b035_subscribers_of_an_action_without_run() -> None:
    made = plan_of(DummyTrigger)

    assert str(made.run_flow) == "concurrence(3, 5)"
    assert [short(step.action_class) for step in made.steps if step.phase is Phase.RUN] == [
        "DummySubscribe",
        "DummyMultiSubscribe",
    ]
    assert [decode(action.input) for action in made.actions] == [{}, {}, {}]


def test_b037_finalize_steps_run_in_the_order_of_plan_self() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    assert str(made.finalize_flow) == "sequence(5, 10, 14, 19, 20)"


def test_b038_an_action_with_neither_run_nor_finalize_has_empty_flows() -> None:
    made = plan_of(Dummy)

    assert (str(made.run_flow), str(made.finalize_flow)) == ("concurrence()", "sequence()")
    assert (made.state, made.result) == ("planned", "success")


def test_b039_an_action_with_finalize_only() -> None:
    made = plan_of(DummyWithFinalize)

    assert (str(made.run_flow), str(made.finalize_flow)) == ("concurrence()", "sequence(2)")


def test_a_subscriber_of_an_action_without_run_keeps_its_place_in_a_sequence() -> None:
    """Core W11: it does not become concurrent with an unrelated earlier sibling."""

    class InSequence(Action):
        def plan(self) -> None:
            with self.sequence():
                self.plan_action(Work)
                self.plan_action(Work)
                self.plan_action(DummyTrigger)

    assert str(plan_of(InSequence).run_flow) == "sequence(3, 5, concurrence(8, 10))"


def test_a_subscriber_runs_beside_the_trigger_unless_it_needs_its_output() -> None:
    class Trigger(Action):
        def run(self) -> None:
            pass

    class Beside(Action):
        subscribe = Trigger

        def run(self) -> None:
            pass

    class Behind(Action):
        subscribe = Trigger

        def plan(self) -> None:
            assert self.triggering is not None
            self.plan_self(result=self.triggering.output)

        def run(self) -> None:
            pass

    assert str(plan_of(Trigger).run_flow) == "concurrence(4, sequence(2, 6))"


def test_thousands_of_nested_blocks_can_be_planned() -> None:
    class Nested(Action):
        def plan(self) -> None:
            with ExitStack() as blocks:
                for number in range(5_000):
                    blocks.enter_context(self.concurrence() if number % 2 else self.sequence())
                self.plan_action(Work)

    assert plan_of(Nested).run_flow == 3


# -- inputs ------------------------------------------------------------------------------------------


def references_of(action: PlannedAction) -> list[Any]:
    return [] if action.references is None else decode(action.references)


def test_b030_references_are_stored_beside_the_input() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    update = action_of(made, 7)
    assert decode(update.input) == {
        "author": "Peter Smith",
        "text": "Failing test",
        "assignee": None,
        "severity": None,
    }
    assert references_of(update) == [
        [["assignee"], 4, 3, ["classification", "assignee"]],
        [["severity"], 4, 3, ["classification", "severity"]],
    ]


def test_b031_a_whole_output_can_be_referred_to() -> None:
    made = plan_of(IncomingIssues, ISSUES)

    assert references_of(action_of(made, 9)) == [[["triage"], 4, 3, []]]


def test_the_default_plan_of_a_subscriber_takes_the_triggers_input() -> None:
    class Source(Action):
        pass

    class Copy(Action):
        subscribe = Source

    made = plan_of(Source, color="red")

    assert [decode(action.input) for action in made.actions] == [{"color": "red"}] * 2


def test_input_given_as_mapping_and_as_keywords_is_merged() -> None:
    made = plan_of(Work, {"a": 1, "b": 2}, b=3)

    assert decode(made.actions[0].input) == {"a": 1, "b": 3}


def test_b009_an_input_that_cannot_be_stored_is_a_planning_error_that_names_its_place() -> None:
    result = planned(Work, hosts=["a", object()])

    assert isinstance(result.error, DataError)
    assert result.error.path == "input['hosts'][1]"
    assert (result.plan.state, result.plan.result) == ("stopped", "error")
    assert decode(result.plan.actions[0].input) == {}


def test_a_reference_of_another_plan_is_refused() -> None:
    other = plan(Work, (), {}, plan_id=PLAN_ID.replace("1", "2"), now=lambda: 0, new_id=str)

    result = planned(Work, stolen=other.root.output["key"])

    assert isinstance(result.error, PlanningError)
    assert "another plan" in str(result.error)


def test_a_reference_put_into_the_input_after_plan_self_is_refused() -> None:
    class TooLate(Action):
        def plan(self) -> None:
            self.plan_self()
            self.input["late"] = self.plan_action(Work).output

        def run(self) -> None:
            pass

    result = planned(TooLate)

    assert "after plan_self" in str(result.error)


def test_a_reference_prints_as_where_it_leads() -> None:
    result = planned(Work)

    reference = result.root.output["classification"][0]

    assert str(reference) == "Step(2).output['classification'][0]"


# -- what plan() may not do --------------------------------------------------------------------------


def test_the_output_cannot_be_referred_to_before_plan_self() -> None:
    class Early(Action):
        def plan(self) -> None:
            self.output["key"]

        def run(self) -> None:
            pass

    error = planned(Early).error

    assert isinstance(error, PlanningError)
    assert "plan_self has to be called before" in str(error)


def test_an_action_without_run_has_no_output_to_refer_to() -> None:
    class Asks(Action):
        def plan(self) -> None:
            self.plan_action(Dummy).output["key"]

    error = planned(Asks).error

    assert isinstance(error, PlanningError)
    assert "has no run()" in str(error)


def test_plan_self_cannot_be_called_twice() -> None:
    """Core W12."""

    class Twice(Action):
        def plan(self) -> None:
            self.plan_self()
            self.plan_self()

    assert "twice" in str(planned(Twice).error)


def test_nothing_can_be_planned_on_an_action_whose_plan_is_over() -> None:
    class Late(Action):
        def plan(self) -> None:
            self.plan_action(Dummy).plan_action(Dummy)

    assert "its plan() is over" in str(planned(Late).error)


@pytest.mark.parametrize("what", ["suspend", "suspended_action"])
def test_what_belongs_to_run_is_refused_while_planning(what: str) -> None:
    class Confused(Action):
        def plan(self) -> None:
            getattr(self, what)()

    error = planned(Confused).error

    assert isinstance(error, WrongPhase)
    assert (error.phase, error.required) == ("plan", ("run",))


@pytest.mark.parametrize("kind", [Action, int, "Dummy", None])
def test_what_is_no_action_class_cannot_be_planned(kind: Any) -> None:
    with pytest.raises(PlanningError, match="not an action class"):
        planned(kind)


def test_an_abstract_base_cannot_be_planned() -> None:
    class Base(Action, abstract=True):
        pass

    with pytest.raises(PlanningError, match="not an action class"):
        planned(Base)


def test_a_wrong_rescue_strategy_is_named() -> None:
    class Hopeful(Action):
        rescue_strategy = "hope"

    with pytest.raises(PlanningError, match=r"Hopeful\.rescue_strategy is 'hope'"):
        planned(Hopeful)


# -- errors ------------------------------------------------------------------------------------------


def test_b021_an_error_in_plan_stops_the_plan() -> None:
    result = planned(IncomingIssues, ["fail"])

    assert (result.plan.state, result.plan.result) == ("stopped", "error")
    assert result.plan.ended_at is not None
    assert isinstance(result.error, ValueError)


def test_b022_planning_stops_at_the_first_error() -> None:
    made = planned(IncomingIssues, ["fail", *ISSUES]).plan

    assert [(step.id, step.state) for step in made.steps] == [(1, "error"), (2, "error")]


def test_the_failing_step_and_all_above_it_hold_the_same_error() -> None:
    made = planned(IncomingIssues, [ISSUES[0], "fail"]).plan

    assert [step.id for step in made.steps if step.state == "error"] == [1, 11]
    assert {error_of(step_of(made, number)) for number in (1, 11)} == {error_of(step_of(made, 1))}
    assert error_of(step_of(made, 1)).message == "this issue cannot be planned"


def test_siblings_planned_before_the_error_stay_as_they_are() -> None:
    made = planned(IncomingIssues, [ISSUES[0], "fail"]).plan

    assert [step_of(made, number).state for number in (2, 3, 4, 5)] == ["success", "success"] + [
        "pending"
    ] * 2


def test_a_parent_may_catch_the_error_and_go_on_but_the_plan_has_failed() -> None:
    class Forgiving(Action):
        def plan(self) -> None:
            with pytest.raises(ValueError, match="cannot be planned"):
                self.plan_action(IncomingIssues, ["fail"])
            self.plan_action(Work)

    result = planned(Forgiving)

    assert (result.plan.state, result.plan.result) == ("stopped", "error")
    assert [step.state for step in result.plan.steps if step.phase is Phase.PLAN] == [
        "success",
        "error",
        "error",
        "success",
    ]
    assert isinstance(result.error, ValueError)


def test_error_with_a_text_reaches_the_parent_as_an_exception() -> None:
    class Child(Action):
        def plan(self) -> None:
            self.error("not today")

    class Parent(Action):
        def plan(self) -> None:
            try:
                self.plan_action(Child)
            except StepError as error:
                self.caught = str(error)

    result = planned(Parent)

    assert result.root.caught == "not today"  # type: ignore[attr-defined]  # set by plan
    assert error_of(step_of(result.plan, 2)).message == "not today"


def test_endless_planning_ends_as_a_planning_error() -> None:
    class Endless(Action):
        def plan(self) -> None:
            self.plan_action(Endless)

    result = planned(Endless)

    assert isinstance(result.error, RecursionError)
    assert result.plan.state == "stopped"
    assert {step.state for step in result.plan.steps} == {"error"}


@pytest.mark.parametrize("frames_above", range(10))
def test_wherever_planning_runs_out_of_stack_the_plan_is_whole(frames_above: int) -> None:
    class Endless(Action):
        def plan(self) -> None:
            self.plan_action(Endless)

    def tick() -> int:
        return 1_000_000

    def planned_further_down(frames: int) -> Planned:
        if frames:
            return planned_further_down(frames - 1)
        return plan(Endless, (), {}, now=lambda: tick(), new_id=lambda: PLAN_ID)

    result = planned_further_down(frames_above)

    steps = result.plan.steps
    assert isinstance(result.error, RecursionError)
    assert [step.id for step in steps] == list(range(1, len(steps) + 1))
    assert {child for step in steps for child in step.children} == set(range(2, len(steps) + 1))


def test_an_input_that_contains_itself_is_a_planning_error() -> None:
    class Circular(Action):
        def plan(self) -> None:
            value: list[Any] = []
            value += [value, value]
            self.plan_self(value=value)

        def run(self) -> None:
            pass

    result = planned(Circular)

    assert isinstance(result.error, DataError)
    assert "nested deeper" in str(result.error)


def test_an_interrupt_while_planning_is_not_swallowed() -> None:
    class Interrupted(Action):
        def plan(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planned(Interrupted)


def test_a_label_that_fails_is_a_planning_error() -> None:
    class Unlabelled(Action):
        def label(self) -> str:
            raise LookupError("no label")

    result = planned(Unlabelled)

    assert isinstance(result.error, LookupError)
    assert result.plan.label == "Unlabelled"


def test_a_label_may_leave_by_error() -> None:
    class Unlabelled(Action):
        def label(self) -> str:
            self.error("no label")

    assert str(planned(Unlabelled).error) == "no label"


def test_a_weight_that_leaves_by_error_weighs_nothing() -> None:
    class Unweighed(Action):
        def run(self) -> None: ...

        def run_progress_weight(self) -> float:  # type: ignore[override]
            self.error("no scales")

    (_, step) = plan_of(Unweighed).steps

    assert step.progress_weight == 0.0


# -- facts of the plan -------------------------------------------------------------------------------


def test_b012_the_label_is_the_class_name() -> None:
    assert plan_of(FastCommit, {}).label == "FastCommit"


def test_b013_an_action_may_say_its_label() -> None:
    assert plan_of(Labelled).label == "dummy_action"


def test_b014_a_plan_may_be_given_its_id() -> None:
    chosen = "9cd7d0f2-0c4f-4fdd-a5d5-51ba33a5ed25"

    made = plan(Dummy, (), {}, plan_id=chosen, now=lambda: 0, new_id=lambda: PLAN_ID).plan

    assert made.id == chosen


def test_a_plan_id_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(PlanningError, match="not a UUID"):
        plan(Dummy, (), {}, plan_id="first", now=lambda: 0, new_id=lambda: PLAN_ID)


def test_the_caller_of_a_sub_plan_is_kept_with_plan_and_root() -> None:
    made = plan(FastCommit, ({},), {}, now=lambda: 0, new_id=lambda: PLAN_ID, caller=("parent", 7)).plan

    assert (made.caller_plan_id, made.caller_action_id) == ("parent", 7)
    assert (made.actions[0].caller_plan_id, made.actions[0].caller_action_id) == ("parent", 7)
    assert (made.actions[1].caller_plan_id, made.actions[1].caller_action_id) == (None, 1)


def test_a_plan_step_takes_the_time_that_planning_took() -> None:
    made = plan_of(FastCommit, {})

    root, first = made.steps[0], made.steps[1]
    assert root.started_at is not None
    assert root.ended_at is not None
    assert root.started_at < first.started_at  # type: ignore[operator]  # planned steps have times
    assert root.execution_time == root.real_time == pytest.approx((root.ended_at - root.started_at) / 1e6)
    assert (made.started_at, made.ended_at, made.execution_time) == (root.started_at, None, 0.0)


def test_weights_count_from_planning_on() -> None:
    made = plan_of(Weighted)

    assert [step.progress_weight for step in made.steps] == [0, 4, 5]


@pytest.mark.parametrize("queue", ["", 5, "q" * 101])
def test_a_queue_that_cannot_be_stored_is_named_before_anything_is_planned(queue: Any) -> None:
    kind = type("Queued", (Action,), {"queue": queue, "__module__": __name__})

    with pytest.raises(PlanningError, match=r"Queued\.queue"):
        planned(kind)


def test_an_action_takes_its_own_queue_or_the_planning_actions() -> None:
    class Slow(Action):
        queue = "slow"

        def plan(self) -> None:
            self.plan_action(Work)
            self.plan_action(Between)
            self.plan_self()

        def run(self) -> None:
            pass

    class Between(Action):
        def plan(self) -> None:
            self.plan_action(Work)

    made = plan_of(Slow)

    assert [step.queue for step in made.steps if step.phase is Phase.RUN] == ["slow", None, "slow"]


def test_policies_are_frozen_per_class() -> None:
    class Careful(Action):
        queue = "care"
        rescue_strategy = RescueStrategy.SKIP
        idempotent = True

        def run(self, event: Any = None) -> None:
            pass

    made = plan_of(Careful)

    assert {name: tuple(policy)[:4] for name, policy in made.policies.items()} == {
        name_of(Careful): ("care", True, "skip", True)
    }


# -- subscriptions -----------------------------------------------------------------------------------


def test_b004_subscribe_answers_the_class() -> None:
    assert NotifyAssignee.subscribe is Triage


def test_b005_the_subscribers_of_a_class_are_found() -> None:
    assert subscribers_of(Triage) == (NotifyAssignee,)


def test_a_subscription_may_name_classes_as_text_and_in_lists() -> None:
    assert subscribers_of(DummyTrigger) == (DummySubscribe, DummyMultiSubscribe)


def test_subclasses_of_a_class_do_not_fire_its_subscriptions() -> None:
    class FineTriage(Triage):
        pass

    assert subscribers_of(FineTriage) == ()


def test_a_class_defined_later_takes_part() -> None:
    class First(Action):
        pass

    before = subscribers_of(First)

    class Second(Action):
        subscribe = First

    assert (before, subscribers_of(First)) == ((), (Second,))


def test_the_root_s_deadline_is_the_plan_s_and_counts_from_the_beginning_of_planning() -> None:
    class Patient(Action):
        deadline_s = 0.1

        def run(self) -> None:
            pass

    class Urgent(Action):
        deadline_s = 2.5

        def plan(self) -> None:
            self.plan_action(Patient)

    made = plan_of(Urgent)

    assert made.started_at is not None
    assert made.deadline_at == made.started_at + 2_500_000


def test_a_plan_has_no_deadline_unless_its_root_asks_for_one() -> None:
    class Relaxed(Action):
        def run(self) -> None:
            pass

    assert plan_of(Relaxed).deadline_at is None
