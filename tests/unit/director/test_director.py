"""Which plans a director takes, refuses, loses and hands over, and who is told."""

import pytest
from plans_for_tests import CLIENT, PLAN, WORLD, a_skeleton, failure, only, success

from dynflow_mp.director.instructions import Answer, DropPlan, HandOver, LoadPlan, ReadySteps
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.director.stimuli import (
    DrainBegun,
    DrainEnded,
    PlanArrived,
    PlanLost,
    PlanRequested,
    PlanUnavailable,
    StepFinished,
    StepLost,
    StepsReturned,
)
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.messages import Accepted, Done, Failed
from dynflow_mp.model.plans import HistoryEntry
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.writes import ClaimPlan, SavePlan

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
    assert (answer.error_class, answer.holder) == ("AlreadyRunning", "r1")


def test_the_same_request_again_is_accepted_again(driver):
    driver.start(a_skeleton(TWO))

    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    assert driver.answers() == [Accepted(), Accepted()]


def test_a_plan_another_world_runs_for_the_same_request_is_accepted(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    said = driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r1"))

    assert said == [Answer(CLIENT, "r1", Accepted(), PLAN)]


def test_a_plan_asked_for_again_while_it_is_read_is_read_again_if_another_world_had_it(driver):
    """Its owner may have been dead, and the plan taken over in between: that is what the second request came of."""
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    said = driver.tell(PlanArrived(a_skeleton(TWO, owner_id="dead"), holder_request_id="r1"))
    now_paused = a_skeleton(TWO, state=PlanState.PAUSED, requested_at=1)
    taken = driver.tell(PlanArrived(now_paused, holder_request_id=None))

    assert said == [LoadPlan(PLAN)]
    assert Answer(CLIENT, "r1", Accepted(), PLAN) in taken
    assert driver.director.runs(PLAN)


def test_it_is_read_again_only_once_for_each_request(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))
    driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r1"))

    said = driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r1"))

    assert said == [Answer(CLIENT, "r1", Accepted(), PLAN)]


def test_a_plan_another_world_runs_for_someone_else_is_refused(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id="r0"))

    (answer,) = driver.answers()
    assert (answer.error_class, answer.holder) == ("AlreadyRunning", "r0")


def test_a_plan_that_changes_hands_as_it_is_read_is_asked_for_again(driver):
    """Its row says that it has an owner, its lock that it has none: who asks for it is not refused for good."""
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    driver.tell(PlanArrived(a_skeleton(TWO, owner_id="other"), holder_request_id=None))

    assert [answer.error_class for answer in driver.answers()] == ["PeerBusy"]


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


def test_a_plan_that_was_read_while_it_still_ran_here_is_looked_at_again(driver):
    """It is read as soon as a request comes; by the time that is heard the plan may have ended."""
    driver.start(a_skeleton(2))
    driver.run(failure(2))
    driver.director.settle()
    driver.tell(PlanRequested(PLAN, "another-client", "r2"))

    said = driver.tell(PlanArrived(a_skeleton(2, owner_id=WORLD), holder_request_id="r1"))
    now_paused = a_skeleton(2, state=PlanState.PAUSED, lock_epoch=1, requested_at=5)
    taken = driver.tell(PlanArrived(now_paused, holder_request_id=None))

    assert said == [LoadPlan(PLAN)]
    assert driver.answers("r2") == [Accepted()]
    assert len(only(ClaimPlan, taken)) == 1


def test_a_plan_asked_for_again_and_again_while_its_end_is_stored_is_not_said_to_be_given_up(driver):
    """The database was away: each repeat had the plan read, and all that was read comes in one turn with its end."""
    driver.start(a_skeleton(2))
    driver.run(success(2))
    as_it_ran = PlanArrived(a_skeleton(2, owner_id=WORLD, lock_epoch=1), holder_request_id="r1")
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))

    early = [driver.tell(as_it_ran) for _ in range(5)]
    driver.director.settle()
    late = [driver.tell(as_it_ran) for _ in range(5)]
    driver.tell(PlanArrived(a_skeleton(2, state=PlanState.STOPPED, lock_epoch=1)))

    assert early + late == [[LoadPlan(PLAN)]] * 10
    assert "could not be written" not in str(driver.answers())
    assert driver.answers()[-1].error_class == "PlanStopped"


def test_a_plan_that_the_store_says_runs_here_for_good_is_refused(driver):
    driver.tell(PlanRequested(PLAN, CLIENT, "r1"))
    runs_here = PlanArrived(a_skeleton(2, owner_id=WORLD), holder_request_id="r0")

    while driver.tell(runs_here) == [LoadPlan(PLAN)]:
        assert driver.answers() == []

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


def test_a_plan_read_before_it_ran_here_is_not_claimed_in_the_turn_that_stores_its_end(driver):
    """Read ahead for a repeated request: by the row it is planned still, but it has run since."""
    driver.start(a_skeleton(2))
    driver.run(success(2))
    driver.tell(PlanRequested(PLAN, CLIENT, "r2"))

    said = driver.tell(PlanArrived(a_skeleton(2)))
    driver.director.settle()
    driver.tell(PlanArrived(a_skeleton(2, state=PlanState.STOPPED, lock_epoch=1)))

    assert said == [LoadPlan(PLAN)]
    assert driver.answers("r2")[-1].error_class == "PlanStopped"


def test_late_news_of_a_plan_that_is_gone_changes_nothing(driver):
    driver.start(a_skeleton(TWO))
    driver.send(2)
    driver.tell(PlanLost(PLAN))

    assert driver.tell(StepFinished(PLAN, 1, success(2))) == []
    assert driver.tell(StepLost(PLAN, 2, 0, "signal(9)", "gone")) == []
    assert driver.tell(StepsReturned(PLAN, [2])) == []


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
