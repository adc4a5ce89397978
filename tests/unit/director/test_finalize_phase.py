"""The finalize phase: one job, its parts, and what becomes of it when a worker dies."""

from plans_for_tests import PLAN, a_skeleton, failure, only, success

from dynflow_mp.director.instructions import ReadyFinalize
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import FinalizeFinished, StepLost, StepsReturned
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.writes import MarkRunning, MoveStep, ResetStep, SaveOutcome, SavePlan

TWO = Concurrence([2, 4])


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


def test_b079_what_a_part_spent_before_the_phase_started_over_is_not_forgotten(driver):
    """Rescued in place: the plan counts it, and so do its steps."""
    skip = {"A": ActionPolicy(rescue_strategy="skip")}
    driver.start(a_skeleton(Concurrence(), finalize=[2, 4, 6], policies=skip))
    driver.finalize(success(2, execution_time=1.0), failure(4, execution_time=2.0))

    said = driver.finalize(success(2, execution_time=4.0), success(6, execution_time=8.0))

    assert [(saved.step_id, saved.execution_time) for saved in only(SaveOutcome, said)] == [
        (2, 5.0),
        (6, 8.0),
    ]
    assert only(SavePlan, said)[0].execution_time == 15.0


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


def test_parts_that_had_begun_when_the_worker_died_keep_their_attempts(driver):
    driver.start(a_skeleton(Concurrence(), finalize=[2, 4, 6, 8]))
    driver.send(FINALIZE)

    said = driver.tell(StepLost(PLAN, FINALIZE, 2, "signal(11)", "crashed"))

    waiting_again = [
        (move.step_id, move.from_state, move.from_attempts, move.to_state, move.to_attempts)
        for move in only(MoveStep, said)
    ]
    assert waiting_again == [
        (2, StepState.RUNNING, 1, StepState.PENDING, 1),
        (4, StepState.PENDING, 0, StepState.PENDING, 1),
    ]
    assert [mark.step_id for mark in only(MarkRunning, said)] == [6]
    assert driver.stored[8] is StepState.PENDING


def test_a_finalize_job_that_was_never_begun_can_be_sent_again(driver):
    driver.start(a_skeleton(Concurrence(), finalize=[2]))
    driver.send(FINALIZE)

    (unmark,) = driver.tell(StepsReturned(PLAN, [FINALIZE]))
    (mark,) = driver.send(FINALIZE)

    assert (unmark.step_id, unmark.attempt) == (2, 1)
    assert mark.attempt == 1
