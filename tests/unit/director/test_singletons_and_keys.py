"""What a plan holds: which locks its claim takes, which of its steps may not run, and when it gives all up."""

import pytest
from plans_for_tests import PLAN, a_skeleton, failure, only, success

from dynflow_mp.director.instructions import ReadyFinalize, ReadySteps
from dynflow_mp.director.stimuli import DrainEnded
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import ClaimPlan, SaveOutcome, SavePlan

SINGLETON = {"A": ActionPolicy(singleton=True)}


def saved(driver):
    return only(SavePlan, driver.said)[-1]


def test_a_claim_takes_the_locks_of_classes_that_have_steps_left(driver):
    (claim,) = only(ClaimPlan, driver.start(a_skeleton(Sequence([2]), policies=SINGLETON)))

    assert claim.singletons == ("A",)


def test_a_claim_takes_no_lock_for_steps_that_are_done_and_none_for_other_classes(driver):
    done = a_skeleton(Sequence([2]), states={2: StepState.SUCCESS}, policies=SINGLETON)
    (claim,) = only(ClaimPlan, driver.start(done))

    assert claim.singletons == ()
    assert saved(driver).frees_locks


def test_an_ordinary_plan_holds_nothing_and_frees_nothing(driver):
    driver.start(a_skeleton(Sequence([2])))
    driver.run(success(2))

    assert not saved(driver).frees_locks
    assert not saved(driver).frees_key


@pytest.mark.parametrize(("outcome", "frees_key"), [(success(2), True), (failure(2), False)])
def test_locks_are_freed_when_the_plan_stops_or_pauses_and_the_key_when_it_stops(driver, outcome, frees_key):
    driver.start(a_skeleton(Sequence([2]), policies=SINGLETON, unique_key="k"))
    driver.run(outcome)

    assert saved(driver).frees_locks
    assert saved(driver).frees_key is frees_key


def test_a_plan_that_is_handed_over_keeps_its_locks(driver):
    driver.start(a_skeleton(Sequence([2]), policies=SINGLETON, unique_key="k"))
    driver.tell(DrainEnded())

    assert saved(driver).keep_requested
    assert not saved(driver).frees_locks
    assert not saved(driver).frees_key


def test_a_step_of_a_class_of_which_another_plan_is_active_fails_when_its_turn_comes(driver):
    skeleton = a_skeleton(Sequence([2, 4]), policies=SINGLETON, taken=frozenset("A"))

    said = driver.start(skeleton)

    assert only(ReadySteps, said) == []
    (outcome,) = only(SaveOutcome, said)
    record = ErrorRecord.from_bytes(outcome.error)
    assert (outcome.step_id, outcome.state) == (2, StepState.ERROR)
    assert (record.exception_class, record.message) == (
        "dynflow_mp.errors.AlreadyActive",
        "Action A is already active",
    )
    assert saved(driver).state is PlanState.PAUSED
    assert only(ClaimPlan, said)[0].singletons == ()


def test_what_fails_so_leaves_its_siblings_to_go_on(driver):
    skeleton = a_skeleton(Concurrence([2, 4]), policies=SINGLETON, taken=frozenset("A"))
    skeleton.steps._kinds.append(skeleton.steps.kind(4)._replace(action_class="B"))
    skeleton.steps._kind_numbers[4] = 1

    said = driver.start(skeleton)

    assert only(ReadySteps, said) == [ReadySteps(PLAN, [4])]
    driver.run(success(4))
    assert driver.stored[2] is StepState.ERROR
    assert saved(driver).state is PlanState.PAUSED


def test_a_finalize_step_of_such_a_class_fails_the_phase(driver):
    skeleton = a_skeleton(
        Sequence([2]), (3,), states={2: StepState.SUCCESS}, policies=SINGLETON, taken=frozenset("A")
    )

    said = driver.start(skeleton)

    assert only(ReadyFinalize, said) == []
    assert driver.stored[3] is StepState.ERROR
    assert saved(driver).state is PlanState.PAUSED
