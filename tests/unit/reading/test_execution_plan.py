"""Plans as people see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from actions_for_tests import (
    ISSUES,
    Commit,
    Dummy,
    FastCommit,
    IncomingIssue,
    IncomingIssues,
    Triage,
    Weighted,
)
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import Action, ExecutionPlan, OutputReference, PlanNotFound, StepState, WrongPhase
from dynflow_mp.model.codec import encode
from dynflow_mp.model.plans import HistoryEntry, history_to_data
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.reading.execution_plan import EAGER_STEPS


def read(shelf: PlanShelf) -> ExecutionPlan:
    return ExecutionPlan.load(PLAN_ID, shelf)


@pytest.fixture
def issues() -> ExecutionPlan:
    return read(shelf_with(IncomingIssues, ISSUES))


# -- the plan ----------------------------------------------------------------------------------------


def test_a_plan_tells_its_facts(issues: ExecutionPlan) -> None:
    assert (issues.id, issues.label, issues.state, issues.result) == (
        PLAN_ID,
        "IncomingIssues",
        "planned",
        "pending",
    )
    assert issues.started_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert issues.ended_at is None
    assert repr(issues) == f"<ExecutionPlan {PLAN_ID} IncomingIssues: planned, pending>"


def test_flows_print_as_people_read_them(issues: ExecutionPlan) -> None:
    assert str(issues.run_flow) == "concurrence(sequence(4, 7, 9), sequence(13, 16, 18))"
    assert str(issues.finalize_flow) == "sequence(5, 10, 14, 19, 20)"


def test_the_history_tells_what_happened_when_and_where() -> None:
    shelf = shelf_with(Dummy)
    entries = [HistoryEntry(1_000_000, "start execution", "w1"), HistoryEntry(2_500_000, "finish execution")]
    shelf.change_plan(history=encode(history_to_data(entries), "history"))

    first, second = read(shelf).execution_history

    assert (first.time, first.name, first.world_id) == (
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "start execution",
        "w1",
    )
    assert str(first) == "1970-01-01 00:00:01 UTC: start execution @ w1"
    assert str(second) == "1970-01-01 00:00:02 UTC: finish execution"


def test_a_plan_that_is_not_there_is_not_found() -> None:
    with pytest.raises(PlanNotFound):
        read(PlanShelf())


def test_sub_plans_are_those_whose_caller_this_plan_is() -> None:
    shelf = shelf_with(Dummy)
    shelf.plans["child"] = shelf.plans[PLAN_ID]._replace(id="child", caller_execution_plan_id=PLAN_ID)

    plan = read(shelf)

    assert [(child.id, child.caller_execution_plan_id) for child in plan.sub_plans()] == [("child", PLAN_ID)]


def test_a_small_plan_is_read_at_once_and_not_again() -> None:
    shelf = shelf_with(IncomingIssues, ISSUES)
    plan = read(shelf)
    reads = list(shelf.reads)

    assert plan.progress == 0
    assert [action.id for action in plan.actions] == list(range(1, 10))
    assert shelf.reads == reads == ["plan", "steps", "actions"]


def test_of_a_large_plan_only_what_is_asked_for_is_read() -> None:
    class Large(Action):
        def plan(self) -> None:
            for _ in range(EAGER_STEPS):
                self.plan_action(Dummy)

    shelf = shelf_with(Large)
    plan = read(shelf)

    assert (plan.result, plan.entry_action.id, plan.action(7).id) == ("success", 1, 7)
    assert shelf.reads == ["plan", "steps [1]", "actions [1]", "actions [7]"]
    assert len(plan.actions) == EAGER_STEPS + 1
    assert shelf.reads[4:] == ["steps", "actions"]


# -- results and progress ----------------------------------------------------------------------------


def test_b023_a_plan_step_in_error_makes_the_result_error() -> None:
    shelf = shelf_with(IncomingIssues, ISSUES)
    shelf.change_step(1, state=StepState.ERROR)

    assert read(shelf).result == "error"


def run_all(shelf: PlanShelf) -> None:
    for step_id in list(shelf.steps):
        shelf.change_step(step_id, state=StepState.SUCCESS)


def test_b025_a_pending_step_makes_the_result_pending() -> None:
    shelf = shelf_with(IncomingIssues, ISSUES)
    run_all(shelf)
    shelf.change_step(9, state=StepState.PENDING)

    assert read(shelf).result == "pending"


def test_b026_a_skipped_step_makes_the_result_warning() -> None:
    shelf = shelf_with(IncomingIssues, ISSUES)
    run_all(shelf)
    shelf.change_step(9, state=StepState.SKIPPED)

    assert read(shelf).result == "warning"


class Single(Action):
    def run(self) -> None:
        pass


def test_b120_one_action_paused_at_20_percent() -> None:
    """Worlds 77."""
    shelf = shelf_with(Single)
    shelf.change_step(2, state=StepState.ERROR, progress_done=0.2)

    assert read(shelf).progress == pytest.approx(0.2)


def test_progress_counts_by_weight() -> None:
    """Core §15: (4·1 + 1·0.2 + 5·0) / 10."""

    class Both(Action):
        def plan(self) -> None:
            self.plan_action(Weighted)
            self.plan_action(Single)

    shelf = shelf_with(Both)
    shelf.change_step(3, state=StepState.SUCCESS, progress_done=0.5)
    shelf.change_step(6, state=StepState.SUSPENDED, progress_done=0.2)

    assert read(shelf).progress == pytest.approx(0.42)


def test_a_plan_without_work_is_done_and_one_not_planned_yet_is_not() -> None:
    shelf = shelf_with(Dummy)
    done = read(shelf).progress
    shelf.change_plan(state="planning")

    assert (done, read(shelf).progress) == (1, 0)


# -- steps -------------------------------------------------------------------------------------------


def test_a_step_tells_its_facts(issues: ExecutionPlan) -> None:
    step = issues.steps[4]

    assert (step.id, step.phase, step.state, step.action_id) == (4, "run", "pending", 3)
    assert (step.action_class, step.action_class_name) == ("Triage", "actions_for_tests.Triage")
    assert (step.attempts, step.queue, step.error, step.children) == (0, None, None, [])
    assert (step.progress_done, step.progress_weight) == (0, 1)
    assert repr(step) == "<run step 4 of Triage: pending>"


def test_b027_plan_steps_have_their_children(issues: ExecutionPlan) -> None:
    assert issues.root_plan_step.children == [2, 11]
    assert issues.steps[3].children == [6, 8]


def test_steps_are_found_by_phase_and_state(issues: ExecutionPlan) -> None:
    assert [step.id for step in issues.run_steps] == [4, 7, 9, 13, 16, 18]
    assert [step.id for step in issues.finalize_steps] == [5, 10, 14, 19, 20]
    assert len(issues.plan_steps) == 9
    assert len(issues.steps_in_state("success")) == 9
    assert issues.failed_steps == []


# -- errors ------------------------------------------------------------------------------------------


def plan_with_error(name: str, message: str = "the message") -> ExecutionPlan:
    shelf = shelf_with(Single)
    shelf.change_step(
        2, state=StepState.ERROR, error=ErrorRecord(name, message, ("line 1",), "signal(9)").to_bytes()
    )
    return read(shelf)


def test_a_failed_step_tells_why() -> None:
    plan = plan_with_error("ValueError")

    (step,) = plan.failed_steps
    assert plan.errors == [step.error]
    assert step.error is not None
    assert (step.error.exception_class, step.error.message) == ("ValueError", "the message")
    assert (step.error.backtrace, step.error.cause) == (("line 1",), "signal(9)")
    assert str(step.error) == "ValueError: the message"


@pytest.mark.parametrize(
    ("name", "kind"), [("ValueError", ValueError), ("dynflow_mp.errors.WorkerLost", "WorkerLost")]
)
def test_an_error_can_be_an_exception_again(name: str, kind: Any) -> None:
    error = plan_with_error(name).errors[0].exception

    assert kind in (type(error), type(error).__name__)
    assert str(error) == "the message"


def test_an_error_whose_class_needs_more_than_a_message_keeps_its_class_and_text() -> None:
    error = (
        plan_with_error("dynflow_mp.errors.MissingOutput", "Step(3).output has no key 'x'")
        .errors[0]
        .exception
    )

    assert type(error).__name__ == "MissingOutput"
    assert str(error) == "Step(3).output has no key 'x'"


@pytest.mark.parametrize("name", ["RenamedError", "shop.errors.RenamedError", "os.path.join", "print"])
def test_b050_b051_b052_an_error_whose_class_is_gone_has_a_stand_in(name: str) -> None:
    error = plan_with_error(name).errors[0]

    assert error.exception_class == name
    assert error.exception.name == name  # type: ignore[attr-defined]  # of stand-ins only
    assert type(error.exception).__name__ == f"UnknownError[{name}]"
    assert repr(error.exception) == f"UnknownError[{name}]: the message"


def test_reading_an_error_imports_nothing() -> None:
    import sys

    plan_with_error("antigravity.Error").errors[0].exception  # noqa: B018 - asking is the test

    assert "antigravity" not in sys.modules


# -- actions -----------------------------------------------------------------------------------------


def test_b006_the_entry_action_is_of_its_own_class(issues: ExecutionPlan) -> None:
    assert isinstance(issues.entry_action, IncomingIssues)
    assert issues.root_plan_step.action(issues) is issues.entry_action


def test_b008_every_steps_action_is_in_phase_present(issues: ExecutionPlan) -> None:
    assert {step.action(issues).phase for step in issues.steps.values()} == {"present"}
    assert len(issues.steps) == 20


def test_b030_an_input_shows_its_references_in_their_places(issues: ExecutionPlan) -> None:
    values = issues.steps[7].action(issues).input

    assert {key: str(value) for key, value in values.items()} == {
        "author": "Peter Smith",
        "text": "Failing test",
        "assignee": "Step(4).output['classification']['assignee']",
        "severity": "Step(4).output['classification']['severity']",
    }


def test_b031_an_input_shows_a_reference_to_a_whole_output(issues: ExecutionPlan) -> None:
    assert issues.steps[9].action(issues).input == {"triage": OutputReference(PLAN_ID, 4, 3)}


def test_b033_an_input_shows_a_list_of_references() -> None:
    plan = read(shelf_with(Commit, "abc"))

    results = plan.steps[9].action(plan).input["review_results"]

    assert results == [
        OutputReference(PLAN_ID, 5, 3, ("passed",)),
        OutputReference(PLAN_ID, 7, 4, ("passed",)),
    ]


def test_an_action_knows_its_steps(issues: ExecutionPlan) -> None:
    triage, incoming = issues.action(3), issues.action(2)

    assert (triage.plan_step_id, triage.run_step_id, triage.finalize_step_id) == (3, 4, 5)
    assert triage.steps == [issues.steps[3], issues.steps[4], issues.steps[5]]
    assert incoming.steps == [issues.steps[2], None, None]


def test_an_action_shows_its_output() -> None:
    shelf = shelf_with(Single)
    shelf.change_action(1, output=encode({"done": True}, "output"))

    assert read(shelf).entry_action.output == {"done": True}


def test_planned_actions_are_shown_in_order_and_by_class(issues: ExecutionPlan) -> None:
    entry = issues.entry_action

    assert [action.id for action in entry.planned_actions()] == [2, 6]
    assert [action.id for action in entry.all_planned_actions()] == [2, 6, 3, 4, 5, 7, 8, 9]
    assert [action.id for action in entry.all_planned_actions(Triage)] == [3, 7]
    assert [action.id for action in entry.planned_actions(IncomingIssue)] == [2, 6]


def test_an_action_that_is_shown_cannot_be_run() -> None:
    action = read(shelf_with(FastCommit, {})).entry_action

    with pytest.raises(WrongPhase, match="not in present"):
        action.plan_action(Dummy)


def test_b001_an_action_whose_class_is_gone_can_be_shown() -> None:
    shelf = shelf_with(Single, text="still here")
    shelf.change_action(1, action_class="shop.RenamedAction")

    action = read(shelf).entry_action

    assert type(action).__name__ == "RenamedAction"
    assert isinstance(action, Action)
    assert action.input == {"text": "still here"}


def test_an_action_that_is_not_there_is_a_key_error(issues: ExecutionPlan) -> None:
    with pytest.raises(KeyError):
        issues.action(99)
