"""What is decided about one plan while it runs: its steps, those that die with their worker, resuming."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_for_tests import CLIENT, PLAN, Driver, a_skeleton, failure, only, success, suspended

from dynflow_mp.director.instructions import Answer, DropPlan, ReadyFinalize, ReadySteps
from dynflow_mp.director.stimuli import (
    EventArrived,
    PlanArrived,
    PlanRequested,
    StepFinished,
    StepLost,
    StepsReturned,
)
from dynflow_mp.model.flows import Concurrence, Sequence, step_ids
from dynflow_mp.model.messages import Accepted, Done
from dynflow_mp.model.plans import HistoryEntry, StepTimes
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import ClaimPlan, MarkRunning, SaveOutcome, SavePlan, UnmarkRunning

TWO = Concurrence([2, 4])


# -- the run phase ---------------------------------------------------------------------------------


def test_a_step_is_marked_before_it_leaves_and_stored_when_it_ended(driver):
    driver.start(a_skeleton(TWO))

    (mark,) = driver.send(2)
    (saved,) = driver.finish(success(2, output=b"out"))

    assert mark == MarkRunning(PLAN, 1, 2, StepState.PENDING, 1, driver.now - 1)
    assert (saved.from_state, saved.attempt, saved.state) == (StepState.RUNNING, 1, StepState.SUCCESS)
    assert saved.output == b"out"


def test_an_outcome_of_an_earlier_attempt_changes_nothing(driver):
    driver.start(a_skeleton(TWO, attempts={2: 4}))
    driver.send(2)

    assert driver.tell(StepFinished(PLAN, 4, success(2))) == []
    assert driver.finish(success(2)) != []
    assert driver.finish(success(2)) == []


def test_worlds_64_a_plan_stops_when_all_its_steps_succeeded(driver):
    driver.start(a_skeleton(TWO))

    said = driver.run(success(2), success(4))

    (saved,) = only(SavePlan, said)
    assert (saved.state, saved.result) == (PlanState.STOPPED, Result.SUCCESS)
    assert [entry.name for entry in saved.history] == ["start execution", "finish execution"]
    assert said[-2:] == [Answer(CLIENT, "r1", Done(), PLAN), DropPlan(PLAN)]


def test_b061_a_failed_step_pauses_the_plan_once_its_siblings_are_through(driver):
    driver.start(a_skeleton(Sequence([TWO, 6])))
    driver.send(2, 4)

    assert only(SavePlan, driver.finish(failure(2))) == []
    (saved,) = only(SavePlan, driver.finish(success(4)))

    assert (saved.state, saved.result) == (PlanState.PAUSED, Result.ERROR)
    assert saved.history[-1].name == "pause execution"
    assert driver.answers() == [Accepted(), Done()]
    assert driver.stored[6] is StepState.PENDING


def test_b038_an_empty_plan_succeeds_at_once(driver):
    said = driver.start(a_skeleton(Concurrence()))

    (saved,) = only(SavePlan, said)
    assert (saved.state, saved.result) == (PlanState.STOPPED, Result.SUCCESS)
    assert driver.answers() == [Accepted(), Done()]


def test_g4_one_outcome_is_stored_of_an_attempt_however_often_it_comes_and_none_of_an_older_one(driver):
    driver.start(a_skeleton(2))
    driver.send(2)
    first = driver.finish(suspended(2))
    assert len(only(SaveOutcome, first)) == 1

    assert driver.finish(success(2)) == []
    driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"go"))
    driver.send(2)
    late = driver.tell(StepFinished(PLAN, 1, suspended(2)))
    last = driver.finish(success(2))
    again = driver.finish(success(2))

    assert late == again == []
    assert [saved.attempt for saved in only(SaveOutcome, last)] == [2]


def test_b079_a_plan_s_execution_time_is_the_sum_of_its_steps(driver):
    skeleton = a_skeleton(
        TWO,
        step_times={2: StepTimes(5, 1.25)},
        planning_time=0.25,
        attempts={2: 1},
        states={2: StepState.ERROR},
    )
    driver.start(skeleton)

    (saved,) = only(SavePlan, driver.run(success(2, execution_time=0.5), success(4, execution_time=1.0)))

    assert saved.execution_time == pytest.approx(0.25 + 1.25 + 0.5 + 1.0)


def test_time_spent_in_earlier_calls_counts_and_real_time_spans_them(driver):
    """B078: a suspended step's execution time is shorter than its real time."""
    driver.start(a_skeleton(2))
    driver.now = 1_000_000
    driver.send(2)
    driver.finish(suspended(2, execution_time=0.5, ended_at=1_500_001))

    driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"e"))
    driver.send(2)
    (saved,) = only(SaveOutcome, driver.finish(success(2, execution_time=0.25, ended_at=9_000_001)))

    assert saved.execution_time == pytest.approx(0.75)
    assert saved.real_time == pytest.approx(8.0)


# -- workers that die ------------------------------------------------------------------------------


def test_a_step_whose_worker_died_is_an_error_that_says_how(driver):
    driver.start(a_skeleton(TWO))
    driver.send(2, 4)
    driver.finish(success(4))

    said = driver.tell(StepLost(PLAN, 2, 0, "signal(9)", "worker 17 was killed by SIGKILL"))

    (saved,) = only(SaveOutcome, said)
    error = ErrorRecord.from_bytes(saved.error)
    assert (saved.state, error.cause) == (StepState.ERROR, "signal(9)")
    assert error.exception_class == "dynflow_mp.errors.WorkerLost"
    assert error.message == "worker 17 was killed by SIGKILL"
    assert saved.progress_weight is None  # what was planned stays
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_step_that_was_never_begun_is_as_if_it_had_not_been_sent(driver):
    driver.start(a_skeleton(TWO))
    driver.send(2)

    (unmark,) = driver.tell(StepsReturned(PLAN, [2]))

    assert unmark == UnmarkRunning(PLAN, 1, 2, StepState.PENDING, 1)
    (mark,) = driver.send(2)
    assert mark.attempt == 1


def test_a_returned_step_goes_back_to_what_it_was(driver):
    driver.start(a_skeleton(TWO, states={2: StepState.SUSPENDED}, attempts={2: 3}, state=PlanState.PAUSED))
    driver.send(2)

    (unmark,) = driver.tell(StepsReturned(PLAN, [2]))

    assert (unmark.to_state, unmark.attempt) == (StepState.SUSPENDED, 4)


def test_steps_stored_as_running_that_nobody_runs_become_errors(driver):
    said = driver.start(
        a_skeleton(TWO, state=PlanState.PAUSED, states={2: StepState.RUNNING}, attempts={2: 1})
    )

    (saved,) = only(SaveOutcome, said)
    assert "abnormal termination" in ErrorRecord.from_bytes(saved.error).message
    assert only(SavePlan, said)[0].state is PlanState.PAUSED
    assert only(ReadySteps, said) == []


# -- resume ----------------------------------------------------------------------------------------


def test_b071_resume_runs_only_what_did_not_succeed(driver):
    said = driver.start(
        a_skeleton(
            Sequence([TWO, 6]),
            state=PlanState.PAUSED,
            states={2: StepState.SUCCESS, 4: StepState.ERROR},
            attempts={2: 1, 4: 1},
            history=(HistoryEntry(1, "start execution", "old"), HistoryEntry(2, "pause execution", "old")),
        )
    )

    assert only(ReadySteps, said) == [ReadySteps(PLAN, [4])]
    (saved,) = only(SavePlan, driver.run(success(4), success(6)))
    assert [entry.name for entry in saved.history] == [
        "start execution",
        "pause execution",
        "start execution",
        "finish execution",
    ]
    assert driver.attempts[4] == 2


def test_skipped_steps_count_as_passed_and_leave_a_warning(driver):
    driver.start(a_skeleton(TWO, state=PlanState.PAUSED, states={2: StepState.SUCCESS, 4: StepState.SKIPPED}))

    assert only(SavePlan, driver.said)[0].result is Result.WARNING


ISSUES = Concurrence([Sequence([4, 7, 9]), Sequence([13, 16, 18])])
ISSUES_FINALIZE = (5, 10, 14, 19, 20)
SKIPPED = (13, 16, 18, 14, 19)
"""The second Triage with all that need its output."""


@pytest.fixture
def skipped(driver):
    """The plan of two issues, taken up again after its failed step 13 was skipped."""
    states = {4: StepState.SUCCESS, 7: StepState.SUCCESS, 9: StepState.SUCCESS}
    states |= dict.fromkeys(SKIPPED, StepState.SKIPPED)
    driver.start(a_skeleton(ISSUES, ISSUES_FINALIZE, state=PlanState.PAUSED, states=states))
    return driver


def test_b074_a_plan_with_skipped_steps_stops_with_a_warning(skipped):
    """Worlds 87."""
    said = skipped.finalize(success(5), success(10), success(20))

    assert only(SavePlan, said)[0][2:4] == (PlanState.STOPPED, Result.WARNING)


def test_b075_no_run_step_runs_again_when_one_was_skipped(skipped):
    assert only(ReadySteps, skipped.said) == []
    assert only(ReadyFinalize, skipped.said) == [ReadyFinalize(PLAN, [5, 10, 20])]


def test_b077_skipped_finalize_steps_stay_so_and_the_others_succeed(skipped):
    skipped.finalize(success(5), success(10), success(20))

    assert [skipped.stored[step_id] for step_id in ISSUES_FINALIZE] == [
        StepState.SUCCESS,
        StepState.SUCCESS,
        StepState.SKIPPED,
        StepState.SKIPPED,
        StepState.SUCCESS,
    ]


def test_a_suspended_step_is_called_again_without_an_event_on_resume(driver):
    said = driver.start(
        a_skeleton(2, state=PlanState.PAUSED, states={2: StepState.SUSPENDED}, attempts={2: 1})
    )

    assert only(ReadySteps, said) == [ReadySteps(PLAN, [2])]
    (mark,) = driver.send(2)
    assert mark.from_state is StepState.SUSPENDED


# -- any plan, any luck ----------------------------------------------------------------------------


def numbered(shape):
    count = iter(range(1, 90))

    def number(node):
        return next(count) if node == 0 else type(node)(number(child) for child in node)

    return number(shape)


shapes = st.recursive(
    st.just(0),
    lambda below: (
        st.lists(below, min_size=1, max_size=4).map(Sequence)
        | st.lists(below, min_size=1, max_size=4).map(Concurrence)
    ),
    max_leaves=20,
).map(numbered)


@settings(max_examples=200, deadline=None)
@given(shapes, st.data())
def test_every_plan_ends_answered_whatever_happens_to_its_steps(flow, data):
    """Outcomes, deaths and returns in any order: the plan ends, once, with the result its steps have."""
    driver = Driver()
    finalize = [90, 91]
    driver.start(a_skeleton(flow, finalize=finalize))
    sent = []
    while driver.director.runs(PLAN):
        finalizing = driver.said and any(isinstance(said, ReadyFinalize) for said in driver.said)
        if finalizing:
            outcomes = [success(90), data.draw(st.sampled_from([success, failure]))(91)]
            driver.finalize(*outcomes)
            break
        if driver.ready and (not sent or data.draw(st.booleans())):
            step = data.draw(st.sampled_from(sorted(driver.ready)))
            driver.send(step)
            sent.append(step)
            continue
        step = sent.pop(data.draw(st.integers(0, len(sent) - 1)))
        what = data.draw(st.sampled_from(["success", "success", "success", "failure", "lost", "returned"]))
        if what == "returned":
            driver.tell(StepsReturned(PLAN, [step]))
            driver.ready.append(step)
        elif what == "lost":
            driver.tell(StepLost(PLAN, step, 0, "signal(9)", "killed"))
        else:
            driver.finish(success(step) if what == "success" else failure(step))

    (saved,) = only(SavePlan, driver.said)
    states = {driver.stored[step] for step in [*step_ids(flow), *finalize]}
    assert not driver.director.runs(PLAN)
    assert driver.answers() == [Accepted(), Done()]
    assert StepState.RUNNING not in states
    assert (saved.state is PlanState.STOPPED) == (states == {StepState.SUCCESS})
    assert (saved.result is Result.ERROR) == (StepState.ERROR in states)
    assert isinstance(only(ClaimPlan, driver.said)[0], ClaimPlan)


def test_a_late_repeat_of_a_request_does_not_resume_what_has_failed_since(driver):
    """The asker asked again because its executor was dead; another has settled the plan meanwhile."""
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))
    failed = a_skeleton(Sequence([1]), states={1: StepState.ERROR}, state=PlanState.PAUSED, requested_at=None)

    assert driver.tell(PlanArrived(failed)) == [Answer(CLIENT, "r1", Done())]
