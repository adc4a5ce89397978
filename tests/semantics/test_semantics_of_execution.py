"""How plans run, fail and are resumed: core B061–B081."""

from __future__ import annotations

import pytest
from actions_for_tests import ISSUES, DummyWithFinalize, IncomingIssues
from looking import action_of, attempts, history, locks, states
from telling_actions import Calls, Empty, InSequence, NeedsMissing, SideBySide, Told, Unstorable, Waits

from dynflow_mp import AlreadyRunning, PlanNotFound, PlanStopped
from dynflow_mp.testing import assert_flow

CLASSIFICATION = {"assignee": "John Doe", "severity": "medium"}
TROLLING = {"author": "Troll", "text": "trolling"}
LATE = {"author": "Tortoise", "text": "late"}

RUN = (4, 7, 9, 13, 16, 18)
FINALIZE = (5, 10, 14, 19, 20)
"""Of two issues: the steps 4 and 13 are Triage, 7 and 16 UpdateIssue, 9 and 18 NotifyAssignee."""

# -- all goes well -------------------------------------------------------------------------------------


def test_b067_every_run_step_succeeds_and_inputs_show_what_they_referred_to(world):
    plan = world.run(IncomingIssues, ISSUES)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert states(plan, RUN) == ["success"] * 6
    assert action_of(plan, 7).input == {**ISSUES[0], **CLASSIFICATION}
    assert action_of(plan, 9).input == {"triage": {"classification": CLASSIFICATION}}
    outputs = [action_of(plan, step_id).output for step_id in RUN]
    assert outputs == [{"classification": CLASSIFICATION}, {}, {}] * 2
    assert locks(world) == 0


def test_b066_a_plan_with_nothing_but_finalize_succeeds(world):
    plan = world.run(DummyWithFinalize)

    assert (plan.state, plan.result, plan.entry_action.output) == ("stopped", "success", {"finalized": True})


def test_b065_a_stopped_plan_cannot_be_executed_again(world):
    plan = world.run(Empty)

    assert (plan.state, plan.result) == ("stopped", "success")
    with pytest.raises(PlanStopped):
        world.execute(plan.id).result()


def test_b062_while_a_step_runs_it_and_its_plan_are_stored_as_running(world):
    seen = []

    def look(action):
        plan = world.persistence.load_execution_plan(action.execution_plan_id)
        seen.append((plan.state, plan.steps[action.run_step_id].state, locks(world)))

    Calls.what = look
    world.run(Calls)

    assert seen == [("running", "running", 1)]


def test_b063_executing_a_running_plan_fails(world):
    triggered = world.trigger(Waits)

    with pytest.raises(AlreadyRunning):
        world.execute(triggered.id).result()
    assert world.event(triggered.id, 2, "finish").result()
    assert triggered.finished.result().result == "success"


def test_a_step_that_waits_for_its_own_plan_is_told_so_instead_of_waiting_for_ever(world):
    Calls.what = lambda action: world.execute(action.execution_plan_id).result()

    plan = world.run(Calls)

    assert plan.errors[0].exception_class == "TimeoutError"


def test_b078_b079_times_add_up(world):
    plan = world.run(IncomingIssues, ISSUES)

    assert plan.started_at is not None
    assert plan.ended_at is not None
    together = sum(step.execution_time for step in plan.steps.values())
    assert plan.execution_time == pytest.approx(together, abs=1e-6)


# -- a step fails --------------------------------------------------------------------------------------


def test_b061_a_failing_triage_pauses_the_plan_and_leaves_what_is_behind_it_pending(world):
    plan = world.run(IncomingIssues, [ISSUES[0], TROLLING])

    assert (plan.state, plan.result) == ("paused", "error")
    assert states(plan, RUN) == ["success", "success", "success", "error", "pending", "pending"]
    assert plan.steps[13].error.message == "trolling detected"
    assert locks(world) == 0


def test_b069_no_finalize_runs_when_the_run_phase_failed(world):
    plan = world.run(IncomingIssues, [ISSUES[0], TROLLING])

    assert states(plan, FINALIZE) == ["pending"] * 5
    assert attempts(plan, FINALIZE) == [0] * 5


def test_b070_b071_a_failed_triage_with_mended_input_is_all_that_runs_again(world):
    paused = world.run(IncomingIssues, [ISSUES[0], TROLLING])

    world.persistence.replace_input(paused.id, paused.steps[13].action_id, {**TROLLING, "text": "ok"})
    plan = world.execute(paused.id).result()

    assert (plan.state, plan.result) == ("stopped", "success")
    assert attempts(plan, RUN) == [1, 1, 1, 2, 1, 1]
    assert plan.steps[13].error is None
    assert history(plan) == ["start execution", "pause execution", "start execution", "finish execution"]


def test_b073_a_mended_finalize_phase_runs_again_from_its_beginning(world):
    paused = world.run(IncomingIssues, [ISSUES[0], LATE])
    assert states(paused, FINALIZE) == ["success", "success", "error", "pending", "pending"]

    world.persistence.replace_input(paused.id, paused.steps[14].action_id, {**LATE, "text": "ok"})
    plan = world.execute(paused.id).result()

    assert (plan.state, plan.result) == ("stopped", "success")
    assert attempts(plan, FINALIZE) == [2, 2, 2, 1, 1]
    assert attempts(plan, RUN) == [1] * 6


def test_siblings_of_a_failed_step_go_on_and_what_follows_it_waits(world):
    """Core §28.9: also with one worker."""
    plan = world.run(SideBySide, [{"name": "a"}, {"name": "b", "fail": "run"}, {"name": "c"}])

    assert [step.state for step in plan.run_steps] == ["success", "error", "success"]
    behind = world.run(InSequence, [{"name": "a", "fail": "run"}, {"name": "b"}])
    assert [step.state for step in behind.run_steps] == ["error", "pending"]


def test_every_failure_is_named_with_its_trace(world):
    plan = world.run(SideBySide, [{"name": "a", "fail": "run"}, {"name": "b", "fail": "run"}])

    assert [error.message for error in plan.errors] == ["a was told to", "b was told to"]
    assert all("telling_actions.py" in "".join(error.backtrace) for error in plan.errors)


def test_a_missing_output_fails_the_step_that_needs_it(world):
    """Core W1: the step fails, and nothing behind it runs."""
    plan = world.run(NeedsMissing)

    assert (plan.state, plan.result) == ("paused", "error")
    assert "has no key 'nothing', which input['name'] needs" in plan.errors[0].message


def test_b010_an_output_that_cannot_be_stored_fails_the_step_and_names_the_place(world):
    """Core W3: the failure is stored as every other."""
    plan = world.run(Unstorable)

    assert (plan.state, plan.result) == ("paused", "error")
    assert "output['users'][1]['bad']" in plan.errors[0].message


def test_an_output_larger_than_allowed_fails_the_step(world):
    big = "x" * (world.config.max_payload - 100)
    Calls.what = lambda action: action.output.update(big=big, more=big)

    plan = world.run(Calls)

    assert plan.errors[0].exception_class.endswith("PayloadTooLarge")


def test_b081_a_plan_deleted_while_it_runs_is_forgotten_and_not_made_again(world):
    Calls.what = lambda action: world.persistence.delete_execution_plans({"id": action.execution_plan_id})

    triggered = world.trigger(Calls)

    with pytest.raises(PlanNotFound):
        triggered.finished.result()
    assert world.persistence.count_execution_plans() == 0
    assert locks(world) == 0


def test_a_resumed_plan_keeps_what_was_done(world):
    paused = world.run(InSequence, [{"name": "a"}, {"name": "b", "fail": "run"}, {"name": "c"}])
    failed = paused.failed_steps[0]

    again = world.execute(paused.id).result()
    assert [step.attempts for step in again.run_steps] == [1, 2, 0]

    world.persistence.replace_input(paused.id, failed.action_id, {"name": "b"})
    plan = world.execute(paused.id).result()
    assert [step.attempts for step in plan.run_steps] == [1, 3, 1]
    assert [action.output for action in plan.entry_action.planned_actions()] == [
        {"name": name, "finalized": True} for name in "abc"
    ]


def test_flows_of_stored_plans_are_compared(world):
    plan = world.run(IncomingIssues, ISSUES)

    assert_flow(plan, "concurrence(sequence(Triage, UpdateIssue, NotifyAssignee), sequence(13, 16, 18))")
    assert_flow(
        plan, "sequence(Triage, NotifyAssignee, Triage, NotifyAssignee, IncomingIssues)", phase="finalize"
    )


def test_a_plan_of_told_actions_finalizes_in_order(world):
    plan = world.run(InSequence, [{"name": "a"}, {"name": "b", "fail": "finalize"}, {"name": "c"}])

    assert isinstance(plan.entry_action.planned_actions()[0], Told)
    assert [step.state for step in plan.finalize_steps] == ["success", "error", "pending"]


def test_b358_auto_execute_takes_up_whatever_has_no_error(world):
    empty, planned = world.plan(Empty), world.plan(Told, name="a")
    skipped = world.run(InSequence, [{"name": "a", "fail": "run"}, {"name": "b"}])
    failed = world.run(Told, name="c", fail="run")
    world.skip(skipped.id, skipped.failed_steps[0].id)

    futures = world.auto_execute()

    assert {future.result().id for future in futures} == {empty.id, planned.id, skipped.id}
    assert {future.result().state for future in futures} == {"stopped"}
    assert world.persistence.load_execution_plan(failed.id).state == "paused"
