"""Sub-plans as the director sees them: stored with the outcome, offered as there is room, their callers told."""

import pytest
from plans_for_tests import CLIENT, PLAN, WORLD, a_skeleton, failure, only, success, suspended

from dynflow_mp.director.callers import Callers
from dynflow_mp.director.events import NEXT_BATCH, SUB_PLANS
from dynflow_mp.director.instructions import (
    Answer,
    EndSubPlans,
    ReadyEvent,
    ReadySteps,
    SendEvent,
    StartSubPlans,
    WakeAt,
)
from dynflow_mp.director.protocol import NOBODY, attended
from dynflow_mp.director.stimuli import (
    DrainBegun,
    EventArrived,
    EventDue,
    PlanLost,
    PlanOffered,
    PlanRequested,
    StepFinished,
    StepsSent,
)
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.messages import Done
from dynflow_mp.model.plans import Caller, StoredEvent
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.sub_plans import Ending, NewSubPlan, Orders
from dynflow_mp.model.work import PlannedEvent
from dynflow_mp.model.writes import ClaimPlan, ForgetEvents, RecordEvent, RequestPlan, SaveOutcome, StorePlan

ONE = Concurrence([2])
LOOKING = {"A": ActionPolicy(accepts_event=True, with_sub_plans=True)}
"""The class of its steps looks after sub-plans."""
FIRST = NewSubPlan("child-1", True, b"plan-1").to_bytes()
HELD = NewSubPlan("child-2", False, b"plan-2").to_bytes()


def a_child(number, caller=PLAN, **changes):
    name = f"child-{number}"
    return a_skeleton(
        Concurrence([100 + number]), plan_id=name, caller=Caller(caller, 2, 2), requested_at=1, **changes
    )


def begin(driver):
    driver.tell(StepsSent(PLAN, [2]))


def end(driver, plan_id, come=success):
    step_id = 2 if plan_id == PLAN else 100 + int(plan_id.removeprefix("child-"))
    driver.tell(StepsSent(plan_id, [step_id]))
    return driver.tell(StepFinished(plan_id, 1, come(step_id)))


@pytest.fixture
def waiting(driver):
    """A plan whose step 2 waits for its sub-plans."""
    driver.start(a_skeleton(ONE, policies=LOOKING))
    begin(driver)
    driver.tell(StepFinished(PLAN, 1, suspended(2)))
    return driver


# -- with the outcome --------------------------------------------------------------------------------


def test_what_a_step_triggered_is_stored_with_its_outcome_and_then_started(driver):
    driver.start(a_skeleton(ONE))
    begin(driver)

    told = driver.tell(StepFinished(PLAN, 1, suspended(2, plans=(FIRST, HELD))))

    assert isinstance(told[0], SaveOutcome)
    assert told[1:] == [
        StorePlan(PLAN, 1, b"plan-1", driver.now),
        StorePlan(PLAN, 1, b"plan-2", None),
        StartSubPlans(PLAN, ("child-1",)),
    ]


def test_an_outcome_that_nobody_waits_for_stores_nothing(driver):
    driver.start(a_skeleton(ONE))
    begin(driver)

    assert driver.tell(StepFinished(PLAN, 7, suspended(2, plans=(FIRST,)))) == []


def test_orders_are_carried_out_once_the_outcome_is_stored(driver):
    driver.start(a_skeleton(ONE))
    begin(driver)
    orders = Orders(("child-2",), Ending.ABORT).to_bytes()

    told = driver.tell(StepFinished(PLAN, 1, suspended(2, orders=orders)))

    assert told[1:] == [
        RequestPlan(PLAN, 1, "child-2", driver.now),
        StartSubPlans(PLAN, ("child-2",)),
        EndSubPlans(PLAN, 2, 2, Ending.ABORT),
    ]


# -- offered -----------------------------------------------------------------------------------------


def test_an_offered_plan_is_claimed_for_nobody(driver):
    told = driver.tell(PlanOffered(a_child(1)))

    (claim,) = only(ClaimPlan, told)
    assert (claim.plan_id, claim.client_id) == ("child-1", NOBODY)
    assert not attended(claim.request_id)
    assert driver.director.runs("child-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"owner_id": "another"},
        {"state": PlanState.STOPPED},
        {"state": PlanState.RUNNING},
    ],
)
def test_what_is_not_to_be_run_is_not_taken(driver, changes):
    assert driver.tell(PlanOffered(a_child(1, **changes))) == []


def test_what_nobody_requested_is_not_taken(driver):
    assert driver.tell(PlanOffered(a_child(1)._replace(requested_at=None))) == []


def test_nothing_is_taken_while_draining(driver):
    driver.tell(DrainBegun())

    assert driver.tell(PlanOffered(a_child(1))) == []


def test_a_plan_on_its_way_for_a_client_is_not_taken_for_nobody(driver):
    driver.tell(PlanRequested("child-1", CLIENT, "r9"))

    assert driver.tell(PlanOffered(a_child(1))) == []


def test_a_plan_that_ran_to_its_end_since_it_was_read_is_not_taken_in_the_turn_that_stores_it(waiting):
    waiting.tell(PlanOffered(a_child(1)))
    end(waiting, "child-1")

    assert waiting.tell(PlanOffered(a_child(1))) == []


# -- whoever waits is told ---------------------------------------------------------------------------


def test_the_end_of_a_sub_plan_wakes_its_caller(waiting):
    waiting.tell(PlanOffered(a_child(1)))

    told = end(waiting, "child-1")

    assert told[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)
    assert not [order for order in told if isinstance(order, (RecordEvent, ForgetEvents))]


def test_so_does_its_pause(waiting):
    waiting.tell(PlanOffered(a_child(1)))

    assert end(waiting, "child-1", failure)[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)


def test_a_caller_that_runs_is_woken_once_when_it_is_done(waiting):
    waiting.tell(PlanOffered(a_child(1)))
    waiting.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"x"))
    begin(waiting)

    assert ReadyEvent(PLAN, 2, SUB_PLANS) not in end(waiting, "child-1")
    told = waiting.tell(StepFinished(PLAN, 2, suspended(2)))

    assert told[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)
    begin(waiting)
    assert waiting.tell(StepFinished(PLAN, 3, suspended(2)))[-1:] != [ReadyEvent(PLAN, 2, SUB_PLANS)]


def test_a_caller_that_runs_elsewhere_is_sent_an_event(driver):
    driver.tell(PlanOffered(a_child(1, caller="elsewhere")))

    told = end(driver, "child-1")

    assert told[-1] == SendEvent(PlannedEvent("elsewhere", 2, SUB_PLANS, None, True))


def test_a_hint_from_elsewhere_is_taken_without_a_row(waiting):
    told = waiting.tell(EventArrived(PLAN, 2, "other-world", "h1", SUB_PLANS, True))

    assert told == [ReadyEvent(PLAN, 2, SUB_PLANS), Answer("other-world", "h1", Done(), PLAN)]


def test_a_hint_for_a_step_that_has_ended_is_nothing(driver):
    driver.start(a_skeleton(Concurrence([2, 4])))
    end(driver, PLAN)

    assert driver.tell(EventArrived(PLAN, 2, None, "h1", SUB_PLANS, True)) == []


def test_a_caller_whose_class_does_not_look_after_sub_plans_hears_nothing(driver):
    driver.start(a_skeleton(ONE))
    begin(driver)
    driver.tell(StepFinished(PLAN, 1, suspended(2)))
    driver.tell(PlanOffered(a_child(1)))

    assert ReadyEvent(PLAN, 2, SUB_PLANS) not in end(driver, "child-1")
    assert driver.tell(EventArrived(PLAN, 2, None, "h1", SUB_PLANS, True)) == []


def test_more_to_make_comes_before_news_of_what_was_made(driver):
    driver.start(a_skeleton(ONE, policies=LOOKING))
    begin(driver)
    driver.tell(EventArrived(PLAN, 2, None, "h1", SUB_PLANS, True))
    again = PlannedEvent(PLAN, 2, NEXT_BATCH, None, False)

    told = driver.tell(StepFinished(PLAN, 1, suspended(2, events=(again,))))
    assert [order for order in told if isinstance(order, ReadyEvent)] == [ReadyEvent(PLAN, 2, NEXT_BATCH)]

    begin(driver)
    told = driver.tell(StepFinished(PLAN, 2, suspended(2)))
    assert told[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)


def test_a_timed_hint_is_stored_like_any_event(driver):
    driver.start(a_skeleton(ONE))
    begin(driver)
    later = PlannedEvent(PLAN, 2, SUB_PLANS, 5.0, True)

    told = driver.tell(StepFinished(PLAN, 1, suspended(2, events=(later,))))

    assert [order.data for order in only(RecordEvent, told)] == [SUB_PLANS]
    assert [order.due_at for order in only(WakeAt, told)] == [driver.now + 5_000_000]


def test_a_sub_plan_without_a_caller_s_step_tells_nobody(driver):
    skeleton = a_child(1)._replace(caller=Caller("elsewhere", 2, None))
    driver.tell(PlanOffered(skeleton))

    assert not [order for order in end(driver, "child-1") if isinstance(order, SendEvent)]


def test_many_ends_are_told_once_and_once_more_after_a_pause(waiting):
    for number in range(1, 9):
        waiting.tell(PlanOffered(a_child(number)))

    told = [order for number in range(1, 8) for order in end(waiting, f"child-{number}")]

    assert [order for order in told if isinstance(order, ReadyEvent)] == [ReadyEvent(PLAN, 2, SUB_PLANS)]
    (wake,) = [order for order in told if isinstance(order, WakeAt)]
    begin(waiting)
    waiting.tell(StepFinished(PLAN, 2, suspended(2)))
    waiting.now = wake.due_at
    assert waiting.tell(EventDue(wake.plan_id, wake.event_id)) == [ReadyEvent(PLAN, 2, SUB_PLANS)]
    assert waiting.tell(EventDue(wake.plan_id, wake.event_id)) == []


def test_the_last_end_is_told_at_once(waiting):
    for number in (1, 2):
        waiting.tell(PlanOffered(a_child(number)))
    end(waiting, "child-1")
    begin(waiting)
    waiting.tell(StepFinished(PLAN, 2, suspended(2)))

    assert end(waiting, "child-2")[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)


def test_a_lost_sub_plan_is_not_counted_among_those_that_run(waiting):
    for number in (1, 2):
        waiting.tell(PlanOffered(a_child(number)))

    waiting.tell(PlanLost("child-1"))

    assert end(waiting, "child-2")[-1] == ReadyEvent(PLAN, 2, SUB_PLANS)


def test_the_more_sub_plans_have_ended_the_longer_the_pauses():
    callers, caller = Callers(), Caller("p", 1, 2)
    for _ in range(20_000):
        callers.begun(caller)

    def pause(ends):
        told_at = None
        for now in range(ends):
            tell, look_at = callers.ended(caller, now)
            told_at = now if tell else told_at
            if look_at is not None:
                return look_at - told_at
        return None

    assert pause(10) == 60_000
    for now in range(9_000):
        callers.ended(caller, now)
    assert callers.pause_over("p", 2, 100_000)
    assert callers.ended(caller, 100_001)[1] > 100_000 + 60_000


def test_a_world_s_id_is_no_client_of_an_offered_plan(driver):
    """Answers to nobody are not sent; those of a plan handed over would come back to this very world."""
    driver.tell(PlanOffered(a_child(1)))

    assert WORLD not in {order.client_id for order in end(driver, "child-1") if isinstance(order, Answer)}


# -- taken over --------------------------------------------------------------------------------------


def test_a_caller_that_is_taken_over_looks_at_once(driver):
    """Its timer is stored; what was said meanwhile is not."""
    timer = StoredEvent("poll", 2, b"poll", None, due_at=1_000_000)
    policies = {"A": ActionPolicy(with_sub_plans=True)}
    resumed = a_skeleton(ONE, states={2: StepState.SUSPENDED}, state=PlanState.PAUSED, events=(timer,))

    told = driver.start(resumed._replace(policies=policies))

    assert ReadyEvent(PLAN, 2, SUB_PLANS) in told
    assert only(WakeAt, told)


def test_a_step_that_is_called_again_without_an_event_takes_none_until_that_is_done(driver):
    told = driver.start(a_skeleton(ONE, states={2: StepState.SUSPENDED}, state=PlanState.PAUSED))
    assert only(ReadySteps, told)

    told = driver.tell(EventArrived(PLAN, 2, CLIENT, "e1", b"x"))
    assert only(RecordEvent, told)
    assert only(ReadyEvent, told) == []  # or it would be called twice at once

    begin(driver)
    told = driver.tell(StepFinished(PLAN, 1, suspended(2)))
    assert told[-1] == ReadyEvent(PLAN, 2, b"x")
