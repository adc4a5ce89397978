"""What is done by itself about failed steps: tried again after errors and crashes, skipped, or left to people."""

import pytest
from plans_for_tests import PLAN, Driver, a_skeleton, failure, only, skipped, success, suspended

from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.instructions import ReadyEvent, ReadyFinalize, ReadySteps, RemindAt, RunErrand
from dynflow_mp.director.stimuli import (
    ErrandFinished,
    ErrandLost,
    EventArrived,
    FinalizeFinished,
    StepDue,
    StepLost,
    StepsReturned,
)
from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.plans import Setback
from dynflow_mp.model.policies import ActionPolicy, RetryPolicy
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import MoveStep, SaveOutcome, SavePlan

RETRYING = {"A": ActionPolicy(retry=RetryPolicy(3, 1.0, 2.0, 0.0))}
IDEMPOTENT = {"A": ActionPolicy(idempotent=True)}
SKIP = {"A": ActionPolicy(rescue_strategy="skip")}
SKIP_WITH_EVENT = {"A": ActionPolicy(rescue_strategy="skip", accepts_event=True)}
SECOND = 1_000_000


def again(step_id, **changes):
    return failure(step_id, retryable=True, **changes)


def lose(driver, step_id, cause="signal(9)"):
    return driver.tell(StepLost(PLAN, step_id, 0, cause, "worker 17 was killed"))


# -- retries ---------------------------------------------------------------------------------------


def test_a_failed_attempt_is_stored_and_the_step_waits_for_the_next(driver):
    driver.start(a_skeleton(2, policies=RETRYING))

    saved, move, reminder = driver.run(again(2))

    due_at = driver.now + SECOND
    assert (saved.state, saved.attempt) == (StepState.ERROR, 1)
    assert move == MoveStep(
        PLAN, 1, 2, StepState.ERROR, 1, StepState.PENDING, 1, due_at=due_at, retries=1, crashes=None
    )
    assert reminder == RemindAt(due_at, PLAN, StepDue(PLAN, 2, due_at))
    assert driver.director.runs(PLAN)


def test_waits_grow_by_their_factor_until_the_attempts_are_used_up(driver):
    driver.start(a_skeleton(2, policies=RETRYING))

    driver.run(again(2))
    assert only(ReadySteps, driver.remind()) == [ReadySteps(PLAN, [2])]
    began = driver.now
    (second,) = only(MoveStep, driver.run(again(2)))
    driver.remind()
    ended = driver.run(again(2))

    assert second.due_at == pytest.approx(began + 2 * SECOND, abs=5)
    assert only(MoveStep, ended) == []
    assert only(SavePlan, ended)[0].state is PlanState.PAUSED


def test_jitter_comes_from_the_given_chance():
    policies = {"A": ActionPolicy(retry=RetryPolicy(3, 1.0, 1.0, 0.5))}
    for chance, wait in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5)):
        driver = Driver(Conduct(chance=lambda chance=chance: chance))
        driver.start(a_skeleton(2, policies=policies))

        (move,) = only(MoveStep, driver.run(again(2)))

        assert move.due_at == driver.now + wait * SECOND


def test_an_error_the_policy_does_not_name_stands(driver):
    driver.start(a_skeleton(2, policies=RETRYING))

    assert only(MoveStep, driver.run(failure(2))) == []
    assert not driver.director.runs(PLAN)


def test_a_wait_of_no_time_is_none(driver):
    driver.start(a_skeleton(2, policies={"A": ActionPolicy(retry=RetryPolicy(2, 0.0, 2.0, 0.1))}))

    said = driver.run(again(2))

    assert said[-1] == ReadySteps(PLAN, [2])


def test_waits_beyond_all_numbers_are_years():
    driver = Driver()
    policies = {"A": ActionPolicy(retry=RetryPolicy(1_000_000, 1.0, 1000.0, 0.0))}
    driver.start(a_skeleton(2, policies=policies, setbacks={2: Setback(None, 900_000)}))

    (move,) = only(MoveStep, driver.run(again(2)))

    assert move.due_at == driver.now + 100_000_000 * SECOND


def test_a_plan_taken_over_waits_as_long_as_was_left(driver):
    """The time is stored: it survives restarts."""
    driver.now = 50
    said = driver.start(
        a_skeleton(
            Concurrence([2, 4]),
            policies=RETRYING,
            attempts={2: 1, 4: 1},
            setbacks={2: Setback(1000, 1), 4: Setback(20, 1)},
            state=PlanState.PAUSED,
        )
    )

    assert only(ReadySteps, said) == [ReadySteps(PLAN, [4])]
    assert only(RemindAt, said) == [RemindAt(1000, PLAN, StepDue(PLAN, 2, 1000))]
    driver.run(success(4))
    assert driver.director.runs(PLAN)
    assert only(ReadySteps, driver.remind()) == [ReadySteps(PLAN, [2])]


def test_a_time_that_was_set_before_means_nothing_any_more(driver):
    driver.start(a_skeleton(2, policies=RETRYING))
    driver.run(again(2))

    assert driver.tell(StepDue(PLAN, 2, 17)) == []
    driver.remind()
    driver.send(2)
    assert driver.tell(StepDue(PLAN, 2, driver.now)) == []


def test_a_resumed_plan_counts_its_attempts_anew(driver):
    driver.start(
        a_skeleton(
            2,
            policies=RETRYING,
            states={2: StepState.ERROR},
            attempts={2: 3},
            setbacks={2: Setback(5, 2)},
            state=PlanState.PAUSED,
        )
    )

    (move,) = only(MoveStep, driver.run(again(2)))

    assert move.retries == 1


def test_steps_behind_one_that_is_tried_again_wait_with_it(driver):
    driver.start(a_skeleton(Sequence([2, 4]), policies=RETRYING))
    driver.run(again(2))
    driver.remind()

    assert only(ReadySteps, driver.run(success(2))) == [ReadySteps(PLAN, [4])]


# -- crashes ---------------------------------------------------------------------------------------


def test_an_idempotent_step_whose_worker_died_runs_again_at_once(driver):
    driver.start(a_skeleton(2, policies=IDEMPOTENT))
    driver.send(2)

    saved, move, ready = lose(driver, 2)

    assert (saved.state, ErrorRecord.from_bytes(saved.error).cause) == (StepState.ERROR, "signal(9)")
    assert (move.to_state, move.crashes, move.retries, move.due_at) == (StepState.PENDING, 1, None, None)
    assert ready == ReadySteps(PLAN, [2])


def test_the_third_crash_is_an_error_that_counts_them(driver):
    """G16."""
    driver.start(a_skeleton(2, policies=IDEMPOTENT))
    for _ in range(2):
        driver.send(2)
        lose(driver, 2)
    driver.send(2)

    said = lose(driver, 2)

    error = ErrorRecord.from_bytes(only(SaveOutcome, said)[0].error)
    (move,) = only(MoveStep, said)
    assert error == ErrorRecord(
        "dynflow_mp.errors.WorkerLost", "worker 17 was killed (crashes=3)", cause="signal(9)"
    )
    assert (move.to_state, move.crashes) == (StepState.ERROR, 3)
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_crashes_are_not_charged_as_attempts(driver):
    policies = {"A": ActionPolicy(idempotent=True, retry=RetryPolicy(2, 0.0, 1.0, 0.0, ("WorkerLost",)))}
    driver.start(a_skeleton(2, policies=policies))

    driver.send(2)
    lose(driver, 2)
    (move,) = only(MoveStep, driver.run(again(2)))

    assert (move.retries, move.crashes) == (1, 1)


def test_a_step_that_is_not_idempotent_is_tried_again_if_its_policy_names_the_loss(driver):
    policies = {"A": ActionPolicy(retry=RetryPolicy(2, 0.0, 1.0, 0.0, ("WorkerLost",)))}
    driver.start(a_skeleton(2, policies=policies))

    driver.send(2)
    assert only(ReadySteps, lose(driver, 2)) == [ReadySteps(PLAN, [2])]
    driver.send(2)
    assert only(SavePlan, lose(driver, 2))[0].state is PlanState.PAUSED


def test_a_step_that_was_stopped_at_a_limit_is_tried_again_if_its_policy_names_that(driver):
    """It could say so itself; that it was stopped is not for its code to judge."""
    policies = {"A": ActionPolicy(idempotent=True, retry=RetryPolicy(2, 0.0, 1.0, 0.0, ("RunTimeout",)))}
    stopped = ErrorRecord("dynflow_mp.errors.RunTimeout", "too long", (), "timeout").to_bytes()
    driver.start(a_skeleton(2, policies=policies))

    (move,) = only(MoveStep, driver.run(failure(2, error=stopped)))
    assert (move.retries, move.crashes) == (1, None)
    driver.send(2)
    said = driver.tell(StepLost(PLAN, 2, 0, "timeout", "too long; worker 17 was killed"))
    assert only(MoveStep, said) == []
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_an_error_of_a_user_s_that_is_called_like_the_engine_s_is_none_of_it(driver):
    policies = {"A": ActionPolicy(retry=RetryPolicy(2, 0.0, 1.0, 0.0, ("RunTimeout",)))}
    driver.start(a_skeleton(2, policies=policies))

    said = driver.run(failure(2, error=ErrorRecord("shop.RunTimeout", "no").to_bytes()))

    assert only(MoveStep, said) == []


def test_what_could_not_be_read_is_no_crash(driver):
    driver.start(a_skeleton(2, policies=IDEMPOTENT))
    driver.send(2)

    said = lose(driver, 2, "unreadable")

    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_step_that_crashed_with_an_event_gets_it_again(driver):
    driver.start(a_skeleton(2, policies=IDEMPOTENT))
    driver.send(2)
    driver.finish(suspended(2))
    driver.tell(EventArrived(PLAN, 2, "client", "e1", b"e"))
    driver.send(2)

    lose(driver, 2)
    driver.send(2)

    assert only(ReadyEvent, driver.finish(suspended(2))) == [ReadyEvent(PLAN, 2, b"e")]
    assert driver.answers("e1") == []


# -- rescue ----------------------------------------------------------------------------------------


def states_of(driver, *step_ids):
    return [driver.stored[step_id] for step_id in step_ids]


def test_b217_a_skippable_failure_is_skipped_and_the_plan_goes_on(driver):
    driver.start(a_skeleton(Sequence([2, 4]), [5], policies=SKIP))

    said = driver.run(failure(2))

    assert states_of(driver, 2, 4) == [StepState.SKIPPED, StepState.PENDING]
    assert only(ReadySteps, said) == [ReadySteps(PLAN, [4])]
    assert only(SavePlan, said) == []
    driver.run(success(4))
    (saved,) = only(SavePlan, driver.finalize(success(5)))
    assert saved.result is Result.WARNING
    assert [entry.name for entry in saved.history] == ["start execution", "finish execution"]


def test_one_whose_run_takes_an_event_is_told(driver):
    driver.start(a_skeleton(2, policies=SKIP_WITH_EVENT))

    said = driver.run(failure(2))

    assert only(ReadySteps, said) == [ReadySteps(PLAN, [2])]
    (mark,) = driver.send(2)
    assert (mark.from_state, mark.to_state, mark.to_attempts) == (StepState.SKIPPING, StepState.SKIPPING, 2)
    saved, *_ = driver.finish(skipped(2))
    assert (saved.from_state, saved.state) == (StepState.SKIPPING, StepState.SKIPPED)
    assert not driver.director.runs(PLAN)


def test_one_that_was_not_told_after_all_waits_to_be_told(driver):
    driver.start(a_skeleton(2, policies=SKIP_WITH_EVENT))
    driver.run(failure(2))
    driver.send(2)

    (move,) = driver.tell(StepsReturned(PLAN, [2]))

    assert (move.to_state, move.from_attempts, move.to_attempts) == (StepState.SKIPPING, 2, 1)
    driver.send(2)
    assert driver.finish(skipped(2)) != []


@pytest.mark.parametrize("how", ["fails", "is lost"])
def test_b218_one_that_fails_while_it_is_skipped_pauses_the_plan(driver, how):
    driver.start(a_skeleton(2, policies=SKIP_WITH_EVENT))
    driver.run(failure(2))
    driver.send(2)

    said = driver.finish(failure(2)) if how == "fails" else lose(driver, 2)

    (saved,) = only(SavePlan, said)
    assert (saved.state, saved.result) == (PlanState.PAUSED, Result.ERROR)


def test_w2_two_failures_with_a_dependant_in_common_are_both_skipped(driver):
    skeleton = a_skeleton(
        Sequence([Concurrence([2, 4]), 6, 8]), [7], policies=SKIP, dependencies={6: (2, 4), 7: (6,), 8: (6,)}
    )
    driver.start(skeleton)
    driver.send(2, 4)
    driver.finish(failure(2))

    said = driver.finish(failure(4))

    assert states_of(driver, 2, 4, 6, 7, 8) == [StepState.SKIPPED] * 5
    assert only(SavePlan, said)[0][2:4] == (PlanState.STOPPED, Result.WARNING)


def test_b212_b214_failed_finalize_steps_are_skipped_one_after_the_other(driver):
    driver.start(a_skeleton(Concurrence(), [2, 4, 6], policies=SKIP))

    said = driver.finalize(success(2), failure(4))
    assert only(ReadyFinalize, said) == [ReadyFinalize(PLAN, [2, 6])]
    said = driver.finalize(success(2), failure(6))
    (saved,) = only(SavePlan, driver.finalize(success(2)))

    assert only(ReadyFinalize, said) == [ReadyFinalize(PLAN, [2])]
    assert (saved.state, saved.result) == (PlanState.STOPPED, Result.WARNING)


@pytest.mark.parametrize(
    ("strategies", "state"),
    [
        (("skip", "skip"), PlanState.STOPPED),
        (("fail", "fail"), PlanState.STOPPED),
        (("skip", "fail"), PlanState.PAUSED),
        (("skip", "pause"), PlanState.PAUSED),
        (("pause", "pause"), PlanState.PAUSED),
        ((None, "fail"), PlanState.STOPPED),
        ((None, None), PlanState.STOPPED),
        ((None, "pause"), PlanState.PAUSED),
    ],
)
@pytest.mark.parametrize("auto_rescue", [True, False])
def test_b222_b224_the_failed_steps_strategies_are_combined(strategies, state, auto_rescue):
    """Core 11.4; without auto-rescue every failure pauses."""
    driver = Driver(Conduct(auto_rescue))
    kinds = {2: "One", 4: "Other"}
    policies = {
        kind: ActionPolicy(rescue_strategy=s) for kind, s in zip(kinds.values(), strategies, strict=True)
    }
    driver.start(a_skeleton(Concurrence([2, 4]), kinds=kinds, policies=policies))
    driver.send(2, 4)
    driver.finish(failure(2))

    (saved,) = only(SavePlan, driver.finish(failure(4)))

    assert saved.state is (state if auto_rescue else PlanState.PAUSED)
    failed = saved.state is PlanState.PAUSED or "fail" in strategies
    assert saved.result is (Result.ERROR if failed else Result.WARNING)


def test_only_failed_steps_have_a_say(driver):
    policies = {"A": ActionPolicy(rescue_strategy="skip"), "Healthy": ActionPolicy()}
    driver.start(a_skeleton(Concurrence([2, 4]), kinds={4: "Healthy"}, policies=policies))

    driver.run(success(4))
    (saved,) = only(SavePlan, driver.run(failure(2)))

    assert saved.state is PlanState.STOPPED


def test_b222_a_plan_that_fails_leaves_what_was_not_started_pending(driver):
    policies = {"A": ActionPolicy(rescue_strategy="fail")}
    driver.start(a_skeleton(Sequence([2, 4]), [5], policies=policies))

    (saved,) = only(SavePlan, driver.run(failure(2)))

    assert saved[2:4] == (PlanState.STOPPED, Result.ERROR)
    assert states_of(driver, 4, 5) == [StepState.PENDING] * 2


# -- asking the actions ----------------------------------------------------------------------------

ASKS = {"A": ActionPolicy(rescue_strategy="skip", asks_for_rescue=True)}


def asked(driver):
    driver.start(a_skeleton(Sequence([2, 4]), policies=ASKS))
    (errand,) = only(RunErrand, driver.run(failure(2)))
    assert driver.director.runs(PLAN)
    return errand


def answer(errand, strategy):
    return ErrandFinished(PLAN, errand.errand_id, errand.kind, encode(strategy, "strategy"), None)


@pytest.mark.parametrize(("said", "ready"), [("skip", [4]), (None, [4])])
def test_a_plan_that_asks_goes_on_as_it_is_told(driver, said, ready):
    errand = asked(driver)

    assert only(ReadySteps, driver.tell(answer(errand, said))) == [ReadySteps(PLAN, ready)]


@pytest.mark.parametrize(("said", "state"), [("pause", PlanState.PAUSED), ("fail", PlanState.STOPPED)])
def test_a_plan_that_asks_ends_as_it_is_told(driver, said, state):
    errand = asked(driver)

    assert only(SavePlan, driver.tell(answer(errand, said)))[0].state is state


@pytest.mark.parametrize("how", ["raised", "lost"])
def test_what_cannot_be_told_pauses_the_plan(driver, how):
    errand = asked(driver)
    error = ErrorRecord("ValueError", "no idea").to_bytes()

    if how == "raised":
        news = ErrandFinished(PLAN, errand.errand_id, errand.kind, None, error)
    else:
        news = ErrandLost(PLAN, errand.errand_id, errand.kind, "signal(9)", "no idea")
    (saved,) = only(SavePlan, driver.tell(news))

    assert saved.state is PlanState.PAUSED
    assert saved.history[1].name == "no rescue strategy: no idea"


def test_each_round_asks_anew_and_an_old_answer_says_nothing(driver):
    first = asked(driver)
    driver.tell(answer(first, "skip"))

    (second,) = only(RunErrand, driver.run(failure(4)))

    assert driver.tell(answer(first, "fail")) == []
    assert only(SavePlan, driver.tell(answer(second, "skip")))[0].result is Result.WARNING


# -- steps to be skipped, found as a plan is taken up -----------------------------------------------


def test_b074_b075_steps_that_were_marked_are_skipped_without_a_call_if_they_take_no_event(driver):
    states = {2: StepState.SKIPPING, 4: StepState.SKIPPED}
    said = driver.start(a_skeleton(Sequence([2, 4]), states=states, state=PlanState.PAUSED))

    (move,) = only(MoveStep, said)
    assert (move.step_id, move.to_state, move.forget_error) == (2, StepState.SKIPPED, True)
    assert only(SavePlan, said)[0].result is Result.WARNING


def test_finalize_steps_are_neither_tried_again_nor_run_again_after_a_crash(driver):
    policies = {"A": ActionPolicy(idempotent=True, retry=RetryPolicy(9, 0.0, 1.0, 0.0, ("WorkerLost",)))}
    driver.start(a_skeleton(Concurrence(), [2], policies=policies))
    driver.send(0)
    assert only(SavePlan, lose(driver, 0))[0].state is PlanState.PAUSED

    driver.start(a_skeleton(Concurrence(), [2], policies=policies), "r2")
    driver.send(0)
    said = driver.tell(FinalizeFinished(PLAN, (again(2),)))
    assert only(SavePlan, said)[0].state is PlanState.PAUSED
