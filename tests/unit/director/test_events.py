"""Events: recorded when accepted, taken one at a time in order, dropped with an answer."""

from plans_for_tests import CLIENT, PLAN, WORLD, a_skeleton, failure, only, success, suspended

from dynflow_mp.director.events import MOST_REMEMBERED
from dynflow_mp.director.instructions import (
    Answer,
    EventUndelivered,
    ReadyEvent,
    ReadySteps,
    SendEvent,
    WakeAt,
)
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import EventArrived, EventDue
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.messages import Done
from dynflow_mp.model.plans import StoredEvent
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import PlannedEvent
from dynflow_mp.model.writes import ForgetEvents, MarkEventsTaken, PostEvent, RecordEvent


def an_event(request_id, step_id=2, data=b"go", **changes):
    return EventArrived(PLAN, step_id, CLIENT, request_id, data)._replace(**changes)


def begin(driver, flow=2):
    driver.start(a_skeleton(flow))
    driver.send(2)


def test_an_event_wakes_a_suspended_step(driver):
    begin(driver)
    driver.finish(suspended(2))

    said = driver.tell(an_event("e1"))

    assert only(RecordEvent, said)[0].id == "e1"
    assert only(ReadyEvent, said) == [ReadyEvent(PLAN, 2, b"go")]


def test_b130_the_sender_is_told_once_the_run_that_took_the_event_is_stored(driver):
    begin(driver)
    driver.finish(suspended(2))
    driver.tell(an_event("e1"))
    assert driver.answers("e1") == []

    driver.send(2)
    said = driver.finish(success(2))

    assert only(MarkEventsTaken, said) == [MarkEventsTaken(PLAN, 1, ("e1",), driver.now)]
    assert only(ForgetEvents, said) == []
    assert driver.answers("e1") == [Done()]


def test_a_finalize_step_takes_no_events_not_even_while_it_is_executed(driver):
    driver.start(a_skeleton(2, finalize=[3]))
    driver.run(success(2))
    driver.send(FINALIZE)

    said = driver.tell(an_event("e1", step_id=3))

    assert only(RecordEvent, said) == []
    assert [answer.error_class for answer in driver.answers("e1")] == ["UnprocessableEvent"]


def test_g8_an_event_that_was_taken_is_known_to_whoever_takes_the_plan_up(driver):
    """Its sender asks again: the executor that took it died before it could say so."""
    taken = StoredEvent("e1", 2, b"", CLIENT, None, 5, 6)
    driver.start(
        a_skeleton(
            2,
            state=PlanState.PAUSED,
            states={2: StepState.SUSPENDED},
            attempts={2: 1},
            events=(taken, StoredEvent("e2", 2, b"kept", CLIENT, None, 7)),
        )
    )
    assert driver.events == [(2, b"kept")]

    said = driver.tell(an_event("e1"))

    assert driver.answers("e1") == [Done()]
    assert only(RecordEvent, said) == only(ReadyEvent, said) == []


def test_g8_marks_of_events_that_were_taken_are_bounded(driver):
    begin(driver)
    said = []
    for number in range(MOST_REMEMBERED + 2):
        driver.finish(suspended(2))
        driver.tell(an_event(f"e{number}"))
        driver.send(2)
        said += driver.finish(suspended(2))
        driver.send(2)

    assert only(ForgetEvents, said) == [ForgetEvents(PLAN, 1, ("e0",)), ForgetEvents(PLAN, 1, ("e1",))]


def test_g8_events_are_in_order_whatever_the_clock_says(driver):
    begin(driver)
    driver.now = 1000
    first = driver.tell(an_event("e9"))
    driver.now = 10
    second = driver.tell(an_event("e10"))

    earlier, later = (only(RecordEvent, said)[0].recorded_at for said in (first, second))
    assert earlier < later


def test_g8_an_event_that_comes_again_while_its_answer_is_on_the_way_is_answered_and_not_taken_again(driver):
    begin(driver)
    driver.finish(suspended(2))
    driver.tell(an_event("e1"))
    driver.send(2)
    driver.finish(suspended(2))

    said = driver.tell(an_event("e1"))

    assert only(RecordEvent, said) == only(ReadyEvent, said) == []
    assert driver.answers("e1") == [Done(), Done()]


def test_an_event_to_a_running_step_waits_until_it_is_suspended(driver):
    begin(driver)

    assert only(ReadyEvent, driver.tell(an_event("e1"))) == []

    assert only(ReadyEvent, driver.finish(suspended(2))) == [ReadyEvent(PLAN, 2, b"go")]


def test_events_are_taken_one_at_a_time_in_order(driver):
    begin(driver)
    for number in (1, 2, 3):
        driver.tell(an_event(f"e{number}", data=b"%d" % number))

    driver.finish(suspended(2))
    driver.send(2)
    driver.finish(suspended(2))
    driver.send(2)
    driver.finish(suspended(2))

    assert driver.events == [(2, b"1"), (2, b"2"), (2, b"3")]
    assert driver.answers("e1") == [Done()]
    assert driver.answers("e2") == [Done()]
    assert driver.answers("e3") == []


def test_events_left_when_the_step_ends_are_dropped_with_an_answer(driver):
    begin(driver)
    driver.tell(an_event("e1"))
    driver.tell(an_event("e2"))

    said = driver.finish(success(2))

    assert only(ForgetEvents, said) == [ForgetEvents(PLAN, 1, ("e1", "e2"))]
    assert [driver.answers(name)[0].error_class for name in ("e1", "e2")] == ["EventDropped"] * 2


def test_the_event_of_a_call_that_failed_was_taken_all_the_same(driver):
    begin(driver)
    driver.finish(suspended(2))
    driver.tell(an_event("e1"))
    driver.send(2)

    driver.finish(failure(2))

    assert driver.answers("e1") == [Done()]


def test_an_event_to_a_step_that_has_not_started_is_refused(driver):
    driver.start(a_skeleton(Concurrence([2, 4])))

    driver.tell(an_event("e1", step_id=4))

    assert driver.answers("e1")[0].error_class == "UnprocessableEvent"


def test_an_event_to_a_step_that_is_not_there_is_refused(driver):
    driver.start(a_skeleton(2))

    driver.tell(an_event("e1", step_id=99))

    assert "no run step 99" in driver.answers("e1")[0].message


def test_worlds_32_an_event_to_a_plan_that_does_not_run_is_refused(driver):
    driver.tell(an_event("e1"))

    assert driver.answers("e1")[0].error_class == "UnprocessableEvent"


def test_the_same_event_again_is_taken_once(driver):
    begin(driver)
    driver.tell(an_event("e1"))

    assert driver.tell(an_event("e1")) == []

    driver.finish(suspended(2))
    driver.send(2)
    assert only(ReadyEvent, driver.finish(suspended(2))) == []


def test_an_event_for_later_waits_for_its_time(driver):
    begin(driver)
    driver.finish(suspended(2))

    said = driver.tell(an_event("e1", due_at=1_000_000))
    assert only(WakeAt, said) == [WakeAt(1_000_000, PLAN, "e1")]
    assert only(ReadyEvent, said) == []

    assert driver.tell(EventDue(PLAN, "e1")) == [ReadyEvent(PLAN, 2, b"go")]
    assert driver.tell(EventDue(PLAN, "e1")) == []


def test_an_action_s_own_event_comes_after_its_suspension(driver):
    begin(driver)

    said = driver.finish(suspended(2, events=(PlannedEvent(PLAN, 2, b"self", None, False),)))

    assert only(ReadyEvent, said) == [ReadyEvent(PLAN, 2, b"self")]
    assert only(Answer, said) == []


def test_an_action_s_delayed_event_is_recorded_with_its_time(driver):
    begin(driver)

    said = driver.finish(suspended(2, events=(PlannedEvent(PLAN, 2, b"self", 1.5, False),)))

    (record,) = only(RecordEvent, said)
    assert record.due_at == driver.now + 1_500_000
    assert only(WakeAt, said)[0].due_at == record.due_at


def test_an_action_s_event_for_another_plan_is_sent_there(driver):
    begin(driver)
    event = PlannedEvent("other", 3, b"hello", None, True)

    said = driver.finish(suspended(2, events=(event,)))

    (post,) = only(PostEvent, said)
    assert (post.world_id, post.to_plan_id, post.to_step_id, post.data) == (WORLD, "other", 3, b"hello")
    assert only(SendEvent, said) == [SendEvent(event, PLAN, post.id)]


def test_an_event_for_what_cannot_be_a_plan_goes_nowhere(driver):
    """Not even into the database, which might refuse it."""
    begin(driver)
    event = PlannedEvent("no plan\0", 3, b"hello", None, False)

    said = driver.finish(suspended(2, events=(event,)))

    assert only(PostEvent, said) == only(SendEvent, said) == []
    assert [order.step_id for order in only(EventUndelivered, said)] == [3]


def test_the_second_event_is_not_taken_while_the_first_is_being_worked_on(driver):
    begin(driver)
    driver.finish(suspended(2))
    driver.tell(an_event("e1"))

    assert only(ReadyEvent, driver.tell(an_event("e2"))) == []

    driver.send(2)
    assert only(ReadyEvent, driver.finish(suspended(2))) == [ReadyEvent(PLAN, 2, b"go")]


def test_stored_events_are_there_again_when_the_plan_is_taken_up(driver):
    skeleton = a_skeleton(
        2,
        state=PlanState.PAUSED,
        states={2: StepState.SUSPENDED},
        attempts={2: 1},
        events=(StoredEvent("e1", 2, b"kept", CLIENT), StoredEvent("e2", 2, b"late", None, 77)),
    )

    said = driver.start(skeleton)

    assert only(WakeAt, said) == [WakeAt(77, PLAN, "e2")]
    assert only(ReadyEvent, said) == [ReadyEvent(PLAN, 2, b"kept")]
    assert only(ReadySteps, said) == []
