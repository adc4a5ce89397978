"""What is done about a failure, on real workers: rescue, skip, retry, crashes, deadlines, edited inputs."""

import os
import time
from itertools import pairwise

import pytest
from after_error_actions import (
    BrokenReference,
    DecidesForItself,
    DecidesForOthers,
    Dies,
    DiesIdempotently,
    Failing,
    Flaky,
    InARow,
    Needs,
    Opinionless,
    Picky,
    RetriesForLong,
    RetriesPastDeadline,
    SilentSkippable,
    Skippable,
    SkippableFinalize,
    SleepySkippable,
    StuckFinalizeWithDeadline,
    StuckWhileSkipped,
    StuckWithDeadline,
    TimesOutOnce,
    Together,
    TwoWithOneUser,
    UnwillingSkippable,
    Uses,
    WakesFromRetry,
    WithDeadline,
    WithDeadlineInARow,
)
from watching import lines_of, run, wait_until

from dynflow_mp import (
    AlreadyRunning,
    BadArgument,
    DataError,
    NotEditable,
    NotSkippable,
    PlanNotFound,
)

APPS = ["engine_actions", "after_error_actions"]


def states(plan):
    return [step.state for step in plan.steps.values() if step.phase != "plan"]


def history(plan):
    return [entry.name for entry in plan.execution_history]


# -- rescue ----------------------------------------------------------------------------------------


def test_b210_b217_a_failed_step_of_a_skippable_action_is_skipped_by_itself(world):
    plan = run(world, Skippable)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert plan.entry_action.output == {"message": "Been here"}
    assert history(plan) == ["start execution", "finish execution"]
    (step,) = plan.run_steps
    assert (step.state, step.error, plan.errors, plan.progress) == ("skipped", None, [], 1.0)
    assert [(one.number, one.error.message) for one in step.failed_attempts] == [(1, "skip me")]


def test_a_skippable_action_that_takes_no_event_is_skipped_without_being_called(world):
    plan = run(world, SilentSkippable)

    assert (plan.state, plan.result, plan.run_steps[0].attempts) == ("stopped", "warning", 1)


def test_b212_a_failed_finalize_step_is_skipped(world):
    plan = run(world, SkippableFinalize)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert plan.entry_action.output == {"message": "Been here"}
    assert plan.finalize_steps[0].state == "skipped"


def test_b213_b221_several_skippable_failures_are_all_skipped(world):
    plan = run(world, Together, ["Skippable", "SilentSkippable", "Skippable"])

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert states(plan) == ["skipped"] * 3
    assert plan.actions[1].output == {"message": "Been here"}


def test_failures_that_appear_one_after_the_other_are_all_skipped(world):
    plan = run(world, InARow, ["Skippable", "SilentSkippable", "SkippableFinalize", "Skippable"])

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert history(plan) == ["start execution", "finish execution"]


def test_b214_finalize_steps_that_fail_one_after_the_other_are_all_skipped(world):
    plan = run(world, Together, ["SkippableFinalize", "SkippableFinalize"])

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert [step.state for step in plan.finalize_steps] == ["skipped", "skipped"]


def test_b218_a_step_that_fails_while_it_is_skipped_pauses_the_plan(world, tmp_path):
    log = tmp_path / "log"
    plan = run(world, UnwillingSkippable, log=str(log))

    assert (plan.state, plan.result) == ("paused", "error")
    assert lines_of(log) == ["None", "skip"]
    assert plan.run_steps[0].error.message == "not even that"


def test_a_step_cannot_be_suspended_while_it_is_skipped(world):
    plan = run(world, SleepySkippable)

    assert (plan.state, plan.result) == ("paused", "error")
    assert "cannot be suspended" in plan.run_steps[0].error.message


def test_b220_different_opinions_pause_the_plan(world):
    plan = run(world, Together, ["Skippable", "Failing"])

    assert (plan.state, plan.result) == ("paused", "error")
    assert history(plan) == ["start execution", "pause execution"]


def test_b222_a_plan_all_of_whose_failures_say_so_fails(world):
    plan = run(world, InARow, ["Failing", "SkippableFinalize"])

    assert (plan.state, plan.result) == ("stopped", "error")
    assert states(plan) == ["error", "pending", "pending"]


def test_an_action_without_an_opinion_leaves_it_to_the_others(world):
    assert run(world, Opinionless).result == "warning"
    assert run(world, Together, ["Opinionless", "Failing"]).state == "stopped"
    assert run(world, Together, ["Opinionless", "Pausing"]).state == "paused"


def test_two_failed_steps_with_a_dependant_in_common_are_rescued(world):
    """W2: it kept the plan running for ever."""
    plan = run(world, TwoWithOneUser, "skip")

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert [step.state for step in plan.run_steps] == ["skipped"] * 4
    assert [step.state for step in plan.finalize_steps] == ["skipped"] * 2


@pytest.mark.parametrize(
    ("prices", "then", "ended"),
    [
        ([1, 2], None, ("stopped", "warning")),
        ([10, 20], None, ("stopped", "error")),
        ([1, 20], None, ("paused", "error")),
        ([1], "Pausing", ("paused", "error")),
        ([1], "Skippable", ("stopped", "warning")),
    ],
)
def test_an_action_decides_about_those_it_planned(world, prices, then, ended):
    """Core 11.4: in a worker, for its methods are a user's code."""
    plan = run(world, DecidesForOthers, prices, then=then)

    assert (plan.state, plan.result) == ended
    assert len(history(plan)) == 2


@pytest.mark.parametrize(
    ("strategy", "ended"),
    [
        ("skip", ("stopped", "warning")),
        ("fail", ("stopped", "error")),
        ("pause", ("paused", "error")),
        (None, ("stopped", "warning")),
    ],
)
def test_an_action_decides_about_itself(world, strategy, ended):
    plan = run(world, DecidesForItself, strategy=strategy)

    assert (plan.state, plan.result) == ended


def test_what_is_no_strategy_pauses_the_plan_and_the_history_says_why(world):
    plan = run(world, DecidesForItself, strategy="retreat")

    assert (plan.state, plan.result) == ("paused", "error")
    assert "no rescue strategy: DecidesForItself gave 'retreat'" in history(plan)[1]


# -- skipping by hand ------------------------------------------------------------------------------


@pytest.mark.every_database
def test_two_failed_steps_with_a_dependant_in_common_can_both_be_skipped(world):
    """W2; skipping again what is being skipped changes nothing."""
    paused = run(world, TwoWithOneUser, "pause")
    first, second = paused.failed_steps

    skipped = [world.skip(paused.id, step.id) for step in (first, second, first)]

    assert set(skipped[0]) & set(skipped[1]) == {7, 8, 10, 11}
    assert skipped[2] == skipped[0]
    plan = world.persistence.load_execution_plan(paused.id)
    assert (plan.state, plan.result) == ("paused", "warning")
    assert [plan.steps[step.id].state for step in (first, second)] == ["skipping", "skipping"]
    assert world.coordinator.find_locks(class_name="ExecutionLock") == []
    plan = world.execute(paused.id).result(20)
    assert (plan.state, plan.result, plan.errors) == ("stopped", "warning", [])


def test_what_did_not_fail_cannot_be_skipped(world, tmp_path):
    paused = run(world, InARow, ["Pausing", "Pausing"])
    failed, pending = paused.run_steps

    for step_id, text in ((pending.id, "is pending"), (1, "no run or finalize step"), (99, "no run or")):
        with pytest.raises(NotSkippable, match=text):
            world.skip(paused.id, step_id)
    with pytest.raises(BadArgument):
        world.skip(paused.id, "4")
    with pytest.raises(PlanNotFound):
        world.skip("11111111-1111-7111-8111-111111111111", failed.id)
    stopped = run(world, Failing)
    with pytest.raises(NotSkippable, match="stopped"):
        world.skip(stopped.id, stopped.failed_steps[0].id)
    running = world.trigger(WithDeadlineInARow, str(tmp_path / "go"))
    wait_until(lambda: world.persistence.load_execution_plan(running.id).state == "running")
    with pytest.raises(AlreadyRunning):
        world.skip(running.id, 3)
    (tmp_path / "go").touch()
    running.finished.result(20)
    assert world.persistence.load_execution_plan(paused.id).steps[failed.id].state == "error"


# -- editing the input -----------------------------------------------------------------------------


@pytest.mark.every_database
def test_a_failed_step_s_input_is_edited_before_it_is_resumed(world):
    """B070; the history says so."""
    paused = run(world, Needs, text="bad", more=1)
    (step,) = paused.failed_steps

    world.edit_input(paused.id, step.id, {"text": "ok"})
    plan = world.execute(paused.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.input == {"text": "ok", "more": 1}
    assert history(plan) == [
        "start execution",
        "pause execution",
        f"edit input of step {step.id}",
        "start execution",
        "finish execution",
    ]
    assert plan.execution_history[2].world_id == world.id


def test_an_edit_may_take_the_place_of_a_reference_and_leaves_the_others(world):
    paused = run(world, BrokenReference)
    (step,) = paused.failed_steps
    assert step.error.exception_class.endswith("MissingOutput")

    world.edit_input(paused.id, step.id, {"text": "ok"})
    plan = world.execute(paused.id).result(20)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.action(step.action_id).input == {"text": "ok", "more": 1}
    assert plan.actions[-1].output == {"used": "ok", "finalized": True}


def test_an_input_that_does_not_depend_on_others_any_more_is_not_skipped_with_them(world):
    paused = run(world, BrokenReference)
    (step,) = paused.failed_steps

    world.edit_input(paused.id, step.id, {"text": "bad"}, replace=True)
    again = world.execute(paused.id).result(20)

    assert again.action(step.action_id).input == {"text": "bad"}
    assert world.skip(paused.id, step.id) == [step.id, 7, 8]


def test_only_a_failed_step_s_input_can_be_edited(world):
    paused = run(world, InARow, ["Pausing", "Pausing"])
    failed, pending = paused.run_steps

    with pytest.raises(NotEditable, match="is pending"):
        world.edit_input(paused.id, pending.id, {"a": 1})
    with pytest.raises(NotEditable, match="no run or finalize step"):
        world.edit_input(paused.id, 1, {"a": 1})
    with pytest.raises(DataError, match="input"):
        world.edit_input(paused.id, failed.id, {"a": object()})
    with pytest.raises(BadArgument):
        world.edit_input(paused.id, failed.id, [1])
    assert history(world.persistence.load_execution_plan(paused.id)) == ["start execution", "pause execution"]


# -- retries ---------------------------------------------------------------------------------------


@pytest.mark.every_database
def test_a_failed_step_is_tried_again_after_longer_and_longer_waits(world, tmp_path):
    log = tmp_path / "log"
    plan = run(world, Flaky, log=str(log), works_at=4)

    (step,) = plan.run_steps
    assert (plan.state, plan.result, plan.entry_action.output) == ("stopped", "success", {"attempts": 4})
    assert (step.attempts, step.retries, step.error, step.due_at) == (4, 3, None, None)
    assert [one.number for one in step.failed_attempts] == [1, 2, 3]
    assert {one.error.message for one in step.failed_attempts} == {"the service is away"}
    times = [float(line) for line in lines_of(log)]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert [wait >= least for wait, least in zip(waits, (0.05, 0.1, 0.2), strict=True)] == [True] * 3
    assert history(plan) == ["start execution", "finish execution"]


def test_steps_that_wait_for_another_attempt_hold_no_worker(world):
    waiting = [world.trigger(RetriesForLong) for _ in range(4)]
    for one in waiting:
        wait_until(lambda id_=one.id: world.persistence.load_execution_plan(id_).run_steps[0].due_at)

    plan = run(world, Flaky, log=os.devnull, works_at=0)

    assert plan.result == "success"
    status = world.execution_status(world.id).result(10)["default"]
    assert (status["free_workers"], status["queue_size"]) == (2, 0)
    for one in waiting:
        world.halt(one.id).result(20)


def test_after_the_last_attempt_the_error_stands_and_resume_counts_anew(world, tmp_path):
    log = tmp_path / "log"
    paused = run(world, Flaky, log=str(log), works_at=7)
    assert (paused.state, paused.run_steps[0].attempts) == ("paused", 4)

    plan = world.execute(paused.id).result(20)

    assert (plan.result, plan.run_steps[0].attempts, plan.run_steps[0].retries) == ("success", 7, 2)


@pytest.mark.parametrize(("kind", "calls"), [("os", 5), ("missing", 1), ("value", 1)])
def test_only_errors_of_the_policy_are_tried_again_after(world, tmp_path, kind, calls):
    log = tmp_path / "log"
    run(world, Picky, log=str(log), kind=kind)

    assert len(lines_of(log)) == calls


def test_a_step_that_fails_with_an_event_is_tried_again_without_one(world):
    triggered = world.trigger(WakesFromRetry)
    step = wait_until(
        lambda: [
            step
            for step in world.persistence.load_execution_plan(triggered.id).run_steps
            if step.state == "suspended"
        ]
    )[0]

    assert world.event(triggered.id, step.id, "fail").result(20)
    plan = triggered.finished.result(20)

    assert (plan.result, [one.number for one in plan.run_steps[0].failed_attempts]) == ("success", [2])


# -- crashes ---------------------------------------------------------------------------------------


@pytest.mark.every_database
def test_an_idempotent_step_that_kills_its_worker_runs_again(world, tmp_path):
    plan = run(world, DiesIdempotently, log=str(tmp_path / "log"), works_at=3)

    (step,) = plan.run_steps
    assert (plan.result, step.attempts, step.crashes, step.retries) == ("success", 3, 2, 0)
    assert [one.error.cause for one in step.failed_attempts] == ["signal(9)"] * 2


def test_g16_the_third_crash_of_an_idempotent_step_is_an_error_that_says_so(world, tmp_path):
    log = tmp_path / "log"
    plan = run(world, DiesIdempotently, log=str(log))

    (step,) = plan.failed_steps
    assert (plan.state, len(lines_of(log)), step.crashes) == ("paused", 3, 3)
    assert step.error.exception_class == "dynflow_mp.errors.WorkerLost"
    assert step.error.message.endswith("(crashes=3)")
    assert step.error.certificate.signal == 9
    pids = [one.error.certificate.pid for one in step.failed_attempts]
    assert pids == [int(pid) for pid in lines_of(log)]
    assert step.error.cause == "signal(9)"


def test_g16_another_step_that_kills_its_worker_does_not_run_again(world, tmp_path):
    log = tmp_path / "log"
    plan = run(world, Dies, log=str(log))

    assert (plan.state, len(lines_of(log)), plan.run_steps[0].crashes) == ("paused", 1, 0)


# -- deadlines -------------------------------------------------------------------------------------


@pytest.mark.every_database
@pytest.mark.parametrize("kind", [WithDeadline, RetriesPastDeadline])
def test_what_waits_when_the_deadline_passes_is_an_error_with_that_cause(world, kind):
    begun = time.monotonic()
    plan = run(world, kind)

    (step,) = plan.failed_steps
    assert (plan.state, plan.result) == ("paused", "error")
    assert (step.error.exception_class, step.error.cause) == (
        "dynflow_mp.errors.DeadlineExceeded",
        "deadline",
    )
    assert 0.4 < time.monotonic() - begun < 15
    assert plan.deadline > plan.started_at


def test_who_resumes_a_plan_after_its_deadline_lifts_it(world):
    paused = run(world, WithDeadline)

    future = world.execute(paused.id)
    step_id = paused.run_steps[0].id
    wait_until(lambda: world.persistence.load_execution_plan(paused.id).steps[step_id].state == "suspended")
    assert world.event(paused.id, step_id, "go").result(20)

    assert future.result(20).result == "success"


def test_a_plan_may_be_given_a_deadline(world):
    plan = world.plan_with_options(Uses, kwargs={"values": 1}, deadline_s=3600)

    assert (plan.deadline - plan.started_at).total_seconds() == 3600
    for bad in (0, -1, "soon", float("inf"), True):
        with pytest.raises(BadArgument, match="deadline_s"):
            world.plan_with_options(Uses, deadline_s=bad)


@pytest.mark.parametrize("kind", [StuckWithDeadline, StuckFinalizeWithDeadline])
def test_what_runs_when_the_deadline_passes_is_stopped(world, tmp_path, kind):
    """Neither tried again nor skipped, although it could be."""
    log = tmp_path / "log"
    begun = time.monotonic()
    plan = run(world, kind, log=str(log))

    (step,) = plan.failed_steps
    assert (plan.state, plan.result, step.error.cause) == ("paused", "error", "deadline")
    assert step.error.exception_class == "dynflow_mp.errors.DeadlineExceeded"
    assert len(lines_of(log)) <= 1
    assert time.monotonic() - begun < 15


# -- together with limits and halting ----------------------------------------------------------------


def test_a_step_that_took_too_long_is_tried_again_as_its_policy_says_and_is_no_crash(world, tmp_path):
    plan = run(world, TimesOutOnce, log=str(tmp_path / "log"))

    (step,) = plan.run_steps
    assert (plan.result, step.attempts, step.retries, step.crashes) == ("success", 2, 1, 0)
    assert [one.error.cause for one in step.failed_attempts] == ["timeout"]


def test_a_plan_that_waits_for_a_retry_can_be_halted(world):
    triggered = world.trigger(RetriesForLong)
    wait_until(lambda: world.persistence.load_execution_plan(triggered.id).run_steps[0].due_at)

    world.halt(triggered.id).result(20)
    plan = triggered.finished.result(20)

    assert (plan.state, plan.run_steps[0].state) == ("stopped", "pending")


def test_a_plan_can_be_halted_while_a_step_is_told_that_it_is_skipped(world, tmp_path):
    log = tmp_path / "log"
    triggered = world.trigger(StuckWhileSkipped, log=str(log))
    wait_until(lambda: lines_of(log), what="the event")

    world.halt(triggered.id).result(20)
    plan = triggered.finished.result(20)

    assert (plan.state, plan.result, plan.failed_steps[0].error.cause) == ("stopped", "error", "halted")
