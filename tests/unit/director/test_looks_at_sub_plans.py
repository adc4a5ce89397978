"""Which timers only have a step look after its sub-plans: nobody needs to wait for those."""

from plans_for_tests import PLAN, a_skeleton, only, suspended

from dynflow_mp.director.events import POLL, SUB_PLANS
from dynflow_mp.director.instructions import WakeAt
from dynflow_mp.director.stimuli import StepFinished, StepsSent
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.work import PlannedEvent

LOOKING = {"A": ActionPolicy(accepts_event=True, with_sub_plans=True)}


def only_looks(driver, data, policies):
    driver.start(a_skeleton(Concurrence([2]), policies=policies))
    driver.tell(StepsSent(PLAN, [2]))
    (wake,) = only(
        WakeAt,
        driver.tell(StepFinished(PLAN, 1, suspended(2, events=(PlannedEvent(PLAN, 2, data, 5.0, True),)))),
    )
    return driver.director.only_looks(PLAN, wake.event_id)


def test_a_poll_of_an_action_with_sub_plans_only_looks(driver):
    assert only_looks(driver, POLL, LOOKING)
    assert not driver.director.only_looks(PLAN, "another event")
    assert not driver.director.only_looks("another plan", "e1")


def test_a_poll_of_another_action_does_more(driver):
    assert not only_looks(driver, POLL, {})


def test_the_time_to_start_another_sub_plan_is_waited_for(driver):
    assert not only_looks(driver, SUB_PLANS, LOOKING)
