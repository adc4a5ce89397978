"""The issues that the reference's behaviours are told with, on real workers (core §27, worlds §19)."""

import pytest
from actions_for_tests import ISSUES, DummyWithFinalize, IncomingIssues
from engine_actions import Held, Noop
from watching import lines_of, run, wait_until

from dynflow_mp.errors import PlanNotFound

pytestmark = pytest.mark.every_database
APPS = ["engine_actions", "actions_for_tests"]

CLASSIFICATION = {"assignee": "John Doe", "severity": "medium"}
TROLLING = {"author": "Troll", "text": "trolling"}
LATE = {"author": "Tortoise", "text": "late"}

RUN = (4, 7, 9, 13, 16, 18)
FINALIZE = (5, 10, 14, 19, 20)
"""Of two issues: the steps 4 and 13 are Triage, 7 and 16 UpdateIssue, 9 and 18 NotifyAssignee."""


def states(plan, step_ids):
    return [plan.steps[step_id].state for step_id in step_ids]


def attempts(plan, step_ids):
    return [plan.steps[step_id].attempts for step_id in step_ids]


def action_of(plan, step_id):
    return plan.action(plan.steps[step_id].action_id)


# -- all goes well ---------------------------------------------------------------------------------


def test_b067_every_run_step_succeeds_and_inputs_show_what_they_referred_to(world):
    """Worlds 64 and 83, too."""
    plan = run(world, IncomingIssues, ISSUES)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert states(plan, RUN) == ["success"] * 6
    assert action_of(plan, 7).input == {**ISSUES[0], **CLASSIFICATION}
    assert action_of(plan, 16).input == {**ISSUES[1], **CLASSIFICATION}
    assert action_of(plan, 9).input == {"triage": {"classification": CLASSIFICATION}}
    outputs = [action_of(plan, step_id).output for step_id in RUN]
    assert outputs == [{"classification": CLASSIFICATION}, {}, {}] * 2


def test_worlds_83_finalize_steps_run_in_their_order_once_the_run_phase_is_over(world):
    plan = run(world, IncomingIssues, ISSUES)

    assert str(plan.finalize_flow) == "sequence(5, 10, 14, 19, 20)"
    assert states(plan, FINALIZE) == ["success"] * 5
    begun = [plan.steps[step_id].started_at for step_id in FINALIZE]
    assert begun == sorted(begun)
    assert begun[0] >= max(plan.steps[step_id].ended_at for step_id in RUN)
    assert plan.entry_action.output == {"summary": "all done"}


def test_b066_a_plan_with_nothing_but_finalize_succeeds(world):
    """Worlds 81, core B039."""
    plan = run(world, DummyWithFinalize)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output == {"finalized": True}


def times_add_up(plan):
    """Worlds 76: the plan's execution time is that of its steps, within a microsecond."""
    together = sum(step.execution_time for step in plan.steps.values())
    return plan.execution_time == pytest.approx(together, abs=1e-6)


def test_b079_the_plans_execution_time_is_the_sum_of_its_steps(world):
    """Worlds 76; a plan step takes as long as it runs."""
    plan = run(world, IncomingIssues, ISSUES)

    assert times_add_up(plan)
    assert all(step.execution_time == step.real_time for step in plan.plan_steps)


# -- a step fails ----------------------------------------------------------------------------------


def test_b061_a_failing_triage_pauses_the_plan_and_leaves_what_is_behind_it_pending(world):
    """Worlds 65 and 89; core §11.2."""
    plan = run(world, IncomingIssues, [ISSUES[0], TROLLING])

    assert (plan.state, plan.result) == ("paused", "error")
    assert states(plan, RUN) == ["success", "success", "success", "error", "pending", "pending"]
    assert plan.steps[13].error.message == "trolling detected"


def test_b069_no_finalize_runs_when_the_run_phase_failed(world):
    """Worlds 84."""
    plan = run(world, IncomingIssues, [ISSUES[0], TROLLING])

    assert states(plan, FINALIZE) == ["pending"] * 5
    assert attempts(plan, FINALIZE) == [0] * 5


def test_b070_b071_a_failed_triage_with_mended_input_is_all_that_runs_again(world):
    """Worlds 85: the steps behind it run, too, for the first time."""
    paused = run(world, IncomingIssues, [ISSUES[0], TROLLING])

    world.persistence.replace_input(paused.id, paused.steps[13].action_id, {**TROLLING, "text": "ok"})
    plan = world.execute(paused.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert attempts(plan, RUN) == [1, 1, 1, 2, 1, 1]
    assert attempts(plan, FINALIZE) == [1] * 5
    assert times_add_up(plan)
    assert plan.started_at == paused.started_at


def test_b073_a_mended_finalize_phase_runs_again_from_its_beginning(world):
    """Both triages are finalized in the second execution, also the one that was before."""
    paused = run(world, IncomingIssues, [ISSUES[0], LATE])
    assert (paused.state, paused.result) == ("paused", "error")
    assert states(paused, FINALIZE) == ["success", "success", "error", "pending", "pending"]

    world.persistence.replace_input(paused.id, paused.steps[14].action_id, {**LATE, "text": "ok"})
    plan = world.execute(paused.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert attempts(plan, FINALIZE) == [2, 2, 2, 1, 1]
    assert attempts(plan, RUN) == [1] * 6
    assert times_add_up(plan)


# -- a step is skipped -----------------------------------------------------------------------------


def test_b074_b075_b077_a_plan_goes_on_without_its_skipped_steps(world):
    """Worlds 87: the failed triage is skipped with all that need its output, run and finalize steps."""
    paused = run(world, IncomingIssues, [ISSUES[0], TROLLING])
    assert world.skip(paused.id, 13) == [13, 14, 16, 18, 19]

    plan = world.execute(paused.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert attempts(plan, RUN) == [1, 1, 1, 1, 0, 0]
    assert states(plan, RUN) == ["success"] * 3 + ["skipped"] * 3
    assert [action_of(plan, step_id).output for step_id in (13, 16, 18)] == [{}, {}, {}]
    assert states(plan, FINALIZE) == ["success", "success", "skipped", "skipped", "success"]
    assert times_add_up(plan)


# -- a plan goes away ------------------------------------------------------------------------------


def test_b081_a_plan_deleted_while_it_runs_is_forgotten_and_not_made_again(world, tmp_path):
    """Worlds 69."""
    log = tmp_path / "log"
    triggered = world.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    assert world.persistence.delete_execution_plans({"id": triggered.id}) == 1
    (tmp_path / "go").touch()

    with pytest.raises(PlanNotFound):
        triggered.finished.result(20)
    assert run(world, Noop).result == "success"
    assert world.persistence.count_execution_plans({"id": triggered.id}) == 0
    assert world.coordinator.find_locks(class_name="ExecutionLock") == []
