"""A plan's deadline: nothing begins after it, what waits is an error, what runs is stopped."""

import pytest
from plans_for_tests import PLAN, a_skeleton, failure, only, success, suspended

from dynflow_mp.director.instructions import (
    ReadyFinalize,
    ReadySteps,
    RemindAt,
    RunErrand,
    StopStep,
    Withdraw,
)
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import DeadlineDue, EventArrived, StepLost, StepsReturned
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.messages import Failed
from dynflow_mp.model.plans import Setback
from dynflow_mp.model.policies import ActionPolicy, RetryPolicy
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import SaveOutcome, SavePlan

LATE = 1_000_000
EAGER = {"A": ActionPolicy(rescue_strategy="skip", idempotent=True, retry=RetryPolicy(9, 0.0, 1.0, 0.0))}


def with_deadline(flow, finalize=(), **changes):
    return a_skeleton(flow, finalize, **{"deadline_at": LATE, "policies": EAGER, **changes})


def causes(said):
    """By step, why those that ended did."""
    return {saved.step_id: ErrorRecord.from_bytes(saved.error).cause for saved in only(SaveOutcome, said)}


def pass_deadline(driver):
    driver.now = LATE
    return driver.tell(DeadlineDue(PLAN))


def test_the_deadline_is_put_on_the_calendar_as_the_plan_is_taken_up(driver):
    said = driver.start(with_deadline(2))

    assert only(RemindAt, said) == [RemindAt(LATE, PLAN, DeadlineDue(PLAN))]
    assert only(ReadySteps, said) == [ReadySteps(PLAN, [2])]


def test_what_waits_is_an_error_and_the_plan_pauses(driver):
    driver.start(with_deadline(Sequence([Concurrence([2, 4]), 6])))
    driver.send(2)
    driver.finish(suspended(2))

    said = pass_deadline(driver)

    assert said[0] == Withdraw(PLAN)
    assert causes(said) == {2: "deadline", 4: "deadline"}
    error = ErrorRecord.from_bytes(only(SaveOutcome, said)[0].error)
    assert error.exception_class == "dynflow_mp.errors.DeadlineExceeded"
    assert driver.stored[6] is StepState.PENDING
    assert only(SavePlan, said)[0][2:4] == (PlanState.PAUSED, Result.ERROR)


def test_what_runs_is_stopped_and_the_plan_waits_for_its_end(driver):
    driver.start(with_deadline(Concurrence([2, 4])))
    driver.send(2)

    said = pass_deadline(driver)

    assert [(stop.step_id, stop.cause) for stop in only(StopStep, said)] == [(2, "deadline")]
    assert causes(said) == {4: "deadline"}
    assert driver.director.runs(PLAN)
    ended = driver.tell(StepLost(PLAN, 2, 0, "deadline", "stopped; worker 17 was killed"))
    assert causes(ended) == {2: "deadline"}
    assert only(SavePlan, ended)[0].state is PlanState.PAUSED


@pytest.mark.parametrize("outcome", [success(2), failure(2, retryable=True), suspended(2)])
def test_nothing_begins_after_it_whatever_becomes_of_what_ran(driver, outcome):
    driver.start(with_deadline(Sequence([2, 4])))
    driver.send(2)
    pass_deadline(driver)

    said = driver.finish(outcome)

    assert only(ReadySteps, said) == []
    assert "deadline" in causes([one for one in said if getattr(one, "error", None)]).values() or (
        outcome.state is StepState.ERROR
    )
    assert only(SavePlan, said)[0][2:4] == (PlanState.PAUSED, Result.ERROR)


def test_what_was_sent_and_never_begun_does_not_begin_either(driver):
    driver.start(with_deadline(2))
    driver.send(2)
    pass_deadline(driver)

    said = driver.tell(StepsReturned(PLAN, [2]))

    assert causes(said) == {2: "deadline"}
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_plan_that_ends_with_it_has_not_missed_it(driver):
    driver.start(with_deadline(2))
    driver.send(2)
    pass_deadline(driver)

    assert only(SavePlan, driver.finish(success(2)))[0][2:4] == (PlanState.STOPPED, Result.SUCCESS)


def test_finalize_does_not_begin_after_it(driver):
    driver.start(with_deadline(2, [3, 5]))
    driver.send(2)
    pass_deadline(driver)

    said = driver.finish(success(2))

    assert only(ReadyFinalize, said) == []
    assert only(SavePlan, said)[0].state is PlanState.PAUSED
    assert driver.stored[3] is StepState.ERROR


def test_finalize_that_waits_for_a_worker_is_withdrawn(driver):
    driver.start(with_deadline(Concurrence(), [3]))

    said = pass_deadline(driver)

    assert said[0] == Withdraw(PLAN)
    assert causes(said) == {3: "deadline"}


def test_finalize_that_runs_is_stopped(driver):
    driver.start(with_deadline(Concurrence(), [3]))
    driver.send(FINALIZE)

    (stop,) = pass_deadline(driver)
    assert (stop.step_id, stop.cause) == (FINALIZE, "deadline")

    said = driver.tell(StepLost(PLAN, FINALIZE, 0, "deadline", "stopped"))
    assert causes(said) == {3: "deadline"}
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_step_that_waits_to_be_tried_again_is_an_error(driver):
    driver.start(with_deadline(2, policies={"A": ActionPolicy(retry=RetryPolicy(9, 100.0, 1.0, 0.0))}))
    driver.run(failure(2, retryable=True))

    assert causes(pass_deadline(driver)) == {2: "deadline"}


def test_events_that_wait_for_its_steps_are_dropped(driver):
    driver.start(with_deadline(2))
    driver.send(2)
    driver.finish(suspended(2))
    driver.tell(EventArrived(PLAN, 2, "client", "e1", b"e"))  # taken, and on its way to a worker
    driver.tell(EventArrived(PLAN, 2, "client", "e2", b"e"))

    pass_deadline(driver)

    for event in ("e1", "e2"):
        (response,) = driver.answers(event)
        assert isinstance(response, Failed)
        assert response.error_class == "EventDropped"


def test_a_plan_that_is_taken_up_too_late_begins_nothing(driver):
    driver.now = LATE
    said = driver.start(
        with_deadline(
            Concurrence([2, 4]),
            states={4: StepState.SUSPENDED},
            attempts={4: 1},
            setbacks={2: Setback(LATE * 2, 1)},
            state=PlanState.PAUSED,
        )
    )

    assert only(ReadySteps, said) == only(RemindAt, said) == []
    assert causes(said) == {2: "deadline", 4: "deadline"}
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_nobody_is_asked_what_to_do_any_more(driver):
    driver.start(with_deadline(2, policies={"A": ActionPolicy(asks_for_rescue=True)}))
    driver.run(failure(2))

    said = pass_deadline(driver)

    assert only(RunErrand, said) == []
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_deadline_that_passes_after_the_plan_ended_is_nobody_s(driver):
    driver.start(with_deadline(2))
    driver.run(success(2))

    assert pass_deadline(driver) == []
