"""What the director says to what happens: requests, run phase, finalize, resume, ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_for_tests import (
    CLIENT,
    PLAN,
    WORLD,
    Driver,
    a_skeleton,
    failure,
    only,
    success,
    suspended,
)

from dynflow_mp.director.protocol import (
    FINALIZE,
    UNATTENDED,
    Answer,
    DrainBegun,
    DrainEnded,
    DropPlan,
    EventArrived,
    FinalizeFinished,
    HandOver,
    LoadPlan,
    PlanArrived,
    PlanLost,
    PlanRequested,
    PlanUnavailable,
    ReadyFinalize,
    ReadySteps,
    StepFinished,
    StepLost,
    StepsReturned,
)
from dynflow_mp.model.flows import Concurrence, Sequence, step_ids
from dynflow_mp.model.messages import Accepted, Done, Failed
from dynflow_mp.model.plans import HistoryEntry, StepTimes
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import (
    ClaimPlan,
    MarkRunning,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
)

TWO = Concurrence([2, 4])


# -- taking a plan ---------------------------------------------------------------------------------


def test_a_requested_plan_is_loaded_first(driver):
    assert driver.tell(PlanRequested(PLAN, CLIENT, "r1")) == [LoadPlan(PLAN)]


def test_a_plan_that_arrives_is_claimed_accepted_and_begun(driver):
    claim, accepted, ready = driver.start(a_skeleton(TWO, lock_epoch=6))

    assert claim.epoch_read == 6
    assert (claim.client_id, claim.request_id) == (CLIENT, "r1")
    assert claim.history == (HistoryEntry(2, "start execution", WORLD),)
    assert accepted == Answer(CLIENT, "r1", Accepted(), PLAN)
    assert ready == ReadySteps(PLAN, [2, 4])


def test_b063_executing_a_plan_that_runs_is_refused(driver):
    driver.start(a_skeleton(TWO))

    driver.tell(PlanRequested(PLAN, "another", "r2"))

    (answer,) = driver.answers("r2")
    assert answer.error_class == "AlreadyRunning"


def test_the_same_request_again_is_accepted_again(driver):
    driver.start(a_skeleton(TWO))

    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    assert driver.answers() == [Accepted(), Accepted()]


def test_a_plan_another_world_runs_for_the_same_request_is_accepted(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    said = driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r1"))

    assert said == [Answer(CLIENT, "r1", Accepted(), PLAN)]


def test_a_plan_another_world_runs_for_someone_else_is_refused(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r0"))

    assert driver.answers()[0].error_class == "AlreadyRunning"


def test_b065_a_stopped_plan_is_refused(driver):
    driver.start(a_skeleton(TWO, state=PlanState.STOPPED))

    assert driver.answers()[0].error_class == "PlanStopped"


@pytest.mark.parametrize("state", [PlanState.PENDING, PlanState.PLANNING, PlanState.SCHEDULED])
def test_a_plan_that_is_not_planned_is_refused(driver, state):
    driver.start(a_skeleton(TWO, state=state))

    assert driver.answers()[0].error_class == "NotExecutable"


def test_a_plan_that_cannot_be_read_is_answered_with_the_reason(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    driver.tell(PlanUnavailable(PLAN, Failed("PlanNotFound", "no plan")))

    assert driver.answers() == [Failed("PlanNotFound", "no plan")]


def test_a_lost_plan_is_dropped_and_looked_at_again(driver):
    driver.start(a_skeleton(TWO))

    said = driver.tell(PlanLost(PLAN))

    assert said == [DropPlan(PLAN), LoadPlan(PLAN)]
    assert not driver.director.runs(PLAN)


def test_b081_a_plan_lost_with_its_last_outcome_is_looked_at_again_for_whoever_waits(driver):
    """Its end was said, withheld, and must not be all that its asker hears."""
    driver.start(a_skeleton(2))
    driver.run(success(2))

    assert driver.tell(PlanLost(PLAN)) == [DropPlan(PLAN), LoadPlan(PLAN)]
    driver.tell(PlanUnavailable(PLAN, Failed("PlanNotFound", "no plan")))

    assert driver.answers()[-1].error_class == "PlanNotFound"


def test_a_plan_this_world_holds_but_had_to_give_up_is_not_said_to_run(driver):
    """Its rows could not be written: nobody runs it, and whoever waits must hear that."""
    driver.start(a_skeleton(2))
    driver.tell(PlanLost(PLAN))

    driver.tell(PlanArrived(a_skeleton(2, owner_id=WORLD), holder_request_id="r1"))

    assert "could not be written" in driver.answers()[-1].message


def test_a_plan_whose_end_is_stored_is_not_lost_any_more(driver):
    driver.start(a_skeleton(2))
    driver.run(success(2))
    driver.director.settle()

    assert driver.tell(PlanLost(PLAN)) == []


def test_a_plan_lost_with_its_end_and_asked_for_again_is_looked_at_once(driver):
    driver.start(a_skeleton(2))
    driver.run(success(2))
    driver.tell(PlanRequested(PLAN, CLIENT, "r2"))

    assert driver.tell(PlanLost(PLAN)) == []


def test_late_news_of_a_plan_that_is_gone_changes_nothing(driver):
    driver.start(a_skeleton(TWO))
    driver.send(2)
    driver.tell(PlanLost(PLAN))

    assert driver.tell(StepFinished(PLAN, 1, success(2))) == []
    assert driver.tell(StepLost(PLAN, 2, 0, "signal(9)", "gone")) == []
    assert driver.tell(StepsReturned(PLAN, [2])) == []


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


# -- finalize --------------------------------------------------------------------------------------


def test_finalize_runs_as_one_job_after_all_run_steps(driver):
    driver.start(a_skeleton(TWO, finalize=[3, 5]))

    said = driver.run(success(2), success(4))

    assert only(ReadyFinalize, said) == [ReadyFinalize(PLAN, [3, 5])]
    assert only(SavePlan, said) == []


def test_b069_finalize_does_not_run_when_a_run_step_failed(driver):
    driver.start(a_skeleton(TWO, finalize=[3]))

    said = driver.run(success(2), failure(4))

    assert only(ReadyFinalize, said) == []
    assert driver.stored[3] is StepState.PENDING


def test_b066_a_plan_with_nothing_but_finalize_goes_there_at_once(driver):
    said = driver.start(a_skeleton(Concurrence(), finalize=[2]))
    assert only(ReadyFinalize, said) == [ReadyFinalize(PLAN, [2])]

    (saved,) = only(SavePlan, driver.finalize(success(2)))

    assert (saved.state, saved.result) == (PlanState.STOPPED, Result.SUCCESS)


def test_a_failed_finalize_step_pauses_the_plan_and_leaves_the_later_ones_pending(driver):
    driver.start(a_skeleton(Concurrence(), finalize=[2, 4, 6]))

    (saved,) = only(SavePlan, driver.finalize(success(2), failure(4)))

    assert (saved.state, saved.result) == (PlanState.PAUSED, Result.ERROR)
    assert [driver.stored[step] for step in (2, 4, 6)] == [
        StepState.SUCCESS,
        StepState.ERROR,
        StepState.PENDING,
    ]


def test_a_resumed_plan_forgets_its_old_errors_as_it_is_claimed(driver):
    """Were the executor to die now, an error left standing would look like one of this attempt."""
    skeleton = a_skeleton(
        TWO,
        finalize=[7],
        state=PlanState.PAUSED,
        states={2: StepState.ERROR, 7: StepState.ERROR},
        attempts={2: 1, 7: 1},
    )

    said = driver.start(skeleton)

    assert [reset.step_id for reset in only(ResetStep, said)] == [2, 7]


def test_b073_a_resumed_finalize_phase_starts_over(driver):
    skeleton = a_skeleton(
        Concurrence(),
        finalize=[2, 4, 6],
        state=PlanState.PAUSED,
        states={2: StepState.SUCCESS, 4: StepState.ERROR},
        attempts={2: 1, 4: 1},
    )

    said = [*driver.start(skeleton), *driver.send(FINALIZE)]
    ended = driver.tell(FinalizeFinished(PLAN, (success(2), success(4), success(6))))

    assert [reset.step_id for reset in only(ResetStep, said)] == [4, 2]
    assert only(SavePlan, ended)[0].state is PlanState.STOPPED
    assert driver.attempts[2] == 2


def test_skipped_finalize_steps_stay_skipped(driver):
    said = driver.start(
        a_skeleton(Concurrence(), finalize=[2, 4], states={2: StepState.SKIPPED}, state=PlanState.PAUSED)
    )

    assert only(ReadyFinalize, said) == [ReadyFinalize(PLAN, [4])]
    (saved,) = only(SavePlan, driver.finalize(success(4)))
    assert saved.result is Result.WARNING


def test_a_worker_that_dies_in_finalize_fails_the_part_it_was_in(driver):
    driver.start(a_skeleton(Concurrence(), finalize=[2, 4, 6]))
    driver.send(FINALIZE)

    said = driver.tell(StepLost(PLAN, FINALIZE, 1, "signal(11)", "crashed"))

    (saved,) = only(SaveOutcome, said)
    assert saved.step_id == 4
    assert only(SavePlan, said)[0].state is PlanState.PAUSED


def test_a_finalize_job_that_was_never_begun_can_be_sent_again(driver):
    driver.start(a_skeleton(Concurrence(), finalize=[2]))
    driver.send(FINALIZE)

    (unmark,) = driver.tell(StepsReturned(PLAN, [FINALIZE]))
    (mark,) = driver.send(FINALIZE)

    assert (unmark.step_id, unmark.attempt) == (2, 1)
    assert mark.attempt == 1


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


# -- draining --------------------------------------------------------------------------------------


def test_a_draining_world_takes_no_plans(driver):
    driver.tell(DrainBegun())

    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    assert driver.answers()[0].error_class == "WorldTerminated"


def test_an_unfinished_plan_is_handed_over_paused_and_still_requested(driver):
    driver.start(a_skeleton(Sequence([2, 4])))
    driver.run(success(2))

    said = driver.tell(DrainEnded())

    (saved,) = only(SavePlan, said)
    assert (saved.state, saved.result, saved.keep_requested) == (PlanState.PAUSED, Result.PENDING, True)
    assert saved.history[-1] == HistoryEntry(driver.now, "terminate execution", WORLD)
    assert HandOver(PLAN, CLIENT, "r1") in said
    assert Done() not in driver.answers()


def test_an_unfinished_plan_with_an_error_is_left_paused_and_answered(driver):
    driver.start(a_skeleton(TWO))
    driver.run(failure(2))

    said = driver.tell(DrainEnded())

    (saved,) = only(SavePlan, said)
    assert (saved.result, saved.keep_requested) == (Result.ERROR, False)
    assert driver.answers() == [Accepted(), Done()]


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
            driver.stored[step] = StepState.PENDING
            driver.attempts[step] -= 1
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


# -- requests nobody waits for ---------------------------------------------------------------------


def unattended(number):
    return f"{UNATTENDED}other-{number}"


def test_who_waits_for_a_plan_that_runs_unattended_is_accepted_and_told_its_end(driver):
    driver.start(a_skeleton(Sequence([1])), unattended(1))

    driver.tell(PlanRequested(PLAN, CLIENT, "r2"))
    driver.run(success(1))

    assert driver.answers("r2") == [Accepted(), Done()]
    assert driver.answers(unattended(1)) == [Accepted()]


def test_who_waits_for_a_plan_that_is_being_loaded_unattended_gets_it(driver):
    driver.tell(PlanRequested(PLAN, "other", unattended(1)))
    driver.tell(PlanRequested(PLAN, CLIENT, "r2"))

    told = driver.tell(PlanArrived(a_skeleton(Sequence([1]))))

    assert only(ClaimPlan, told)[0].request_id == "r2"
    assert driver.answers("r2") == [Accepted()]


def test_who_waits_for_a_plan_that_runs_unattended_elsewhere_is_not_refused(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r2"))

    driver.tell(PlanArrived(a_skeleton(Sequence([1]), owner_id="other"), unattended(1)))

    assert driver.answers("r2") == [Accepted()]


def test_a_second_request_nobody_waits_for_is_refused(driver):
    driver.start(a_skeleton(Sequence([1])), "r1")

    driver.tell(PlanRequested(PLAN, "other", unattended(1)))
    driver.run(success(1))

    assert [answer.error_class for answer in driver.answers(unattended(1))] == ["AlreadyRunning"]
    assert driver.answers("r1") == [Accepted(), Done()]
