"""The process that ran a step goes with its outcome."""

from plans_for_tests import PLAN, a_skeleton, only, success

from dynflow_mp.director.stimuli import FinalizeFinished, StepFinished, StepLost
from dynflow_mp.model.flows import Sequence
from dynflow_mp.model.writes import SaveOutcome

ONE = Sequence([2])


def pids(said):
    return [(write.step_id, write.worker_pid) for write in only(SaveOutcome, said)]


def test_an_outcome_names_the_process_it_came_from(driver):
    driver.start(a_skeleton(ONE))
    driver.send(2)

    assert pids(driver.tell(StepFinished(PLAN, 1, success(2), 4711))) == [(2, 4711)]


def test_a_lost_step_names_the_process_that_was_lost(driver):
    driver.start(a_skeleton(ONE))
    driver.send(2)

    assert pids(driver.tell(StepLost(PLAN, 2, 0, "signal(9)", "killed", worker_pid=4711))) == [(2, 4711)]


def test_finalize_steps_name_it_too(driver):
    driver.start(a_skeleton(ONE, finalize=[3, 5]))
    driver.run(success(2))
    driver.send(0)

    said = driver.tell(FinalizeFinished(PLAN, (success(3), success(5)), 4711))

    assert pids(said) == [(3, 4711), (5, 4711)]


def test_a_lost_finalize_phase_names_it_for_the_step_it_was_lost_in(driver):
    driver.start(a_skeleton(ONE, finalize=[3, 5]))
    driver.run(success(2))
    driver.send(0)

    assert pids(driver.tell(StepLost(PLAN, 0, 1, "signal(9)", "killed", worker_pid=4711))) == [(5, 4711)]


def test_of_what_nobody_ran_nobody_is_named(driver):
    driver.start(a_skeleton(ONE))
    driver.send(2)

    assert pids(driver.tell(StepLost(PLAN, 2, 0, "unreadable", "its action is gone"))) == [(2, None)]
