"""What requests ask of the core, and that a repeated request gets the same answer."""

from __future__ import annotations

import pytest

from dynflow_mp.director.stimuli import CancelRequested, EventArrived, HaltRequested, PlanRequested
from dynflow_mp.dispatchers.executor_dispatcher import ExecutorDispatcher
from dynflow_mp.errors import EventDropped, NoExecutor, PeerBusy, RequestError
from dynflow_mp.executor.requests import Asked, StatusAsked, WorkersAsked
from dynflow_mp.model.messages import (
    Accepted,
    CancelPlan,
    Done,
    Drain,
    Envelope,
    Event,
    Execution,
    ExecutionStatus,
    Failed,
    HaltPlan,
    Ping,
    Pong,
    Status,
    Told,
    Workers,
)

NOW = 1_000_000


@pytest.fixture
def dispatcher() -> ExecutorDispatcher:
    return ExecutorDispatcher("executor")


def asking(message: object, request_id: str = "client-1") -> Envelope:
    return Envelope("client", "executor", request_id, message)  # type: ignore[arg-type]  # any message


def test_each_request_becomes_what_the_core_should_hear(dispatcher: ExecutorDispatcher) -> None:
    asked: list[Asked | None] = [
        dispatcher.hear(asking(Execution("plan"), "1"), NOW),
        dispatcher.hear(asking(Event("plan", 3, b"data", True, 1.5), "2"), NOW),
        dispatcher.hear(asking(Status("plan"), "3"), NOW),
        dispatcher.hear(asking(CancelPlan("plan", True), "4"), NOW),
        dispatcher.hear(asking(HaltPlan("plan"), "5"), NOW),
        dispatcher.hear(asking(Workers(), "6"), NOW),
    ]

    assert asked == [
        PlanRequested("plan", "client", "1"),
        EventArrived("plan", 3, "client", "2", b"data", True, NOW + 1_500_000),
        StatusAsked("client", "3", "plan"),
        CancelRequested("plan", "client", "4", True),
        HaltRequested("plan", "client", "5"),
        WorkersAsked("client", "6"),
    ]


def test_who_is_no_supervisor_does_not_end_for_others(dispatcher: ExecutorDispatcher) -> None:
    """Of a supervisor the world hears it, and not the core."""
    answer = dispatcher.hear(asking(Drain()), NOW)

    assert isinstance(answer, Envelope)
    assert isinstance(answer.message, Failed)
    error = answer.message.to_error()
    assert type(error) is RequestError
    assert str(error) == "world executor is no supervisor: who has made it ends it"


def test_an_event_without_delay_is_due_at_once(dispatcher: ExecutorDispatcher) -> None:
    asked = dispatcher.hear(asking(Event("plan", 3, b"data")), NOW)

    assert asked == EventArrived("plan", 3, "client", "client-1", b"data", False, None)


def test_a_ping_is_answered_at_once(dispatcher: ExecutorDispatcher) -> None:
    assert dispatcher.hear(asking(Ping()), NOW) == Envelope("executor", "client", "client-1", Pong())


def test_a_response_is_nothing_for_the_core(dispatcher: ExecutorDispatcher) -> None:
    assert dispatcher.hear(asking(Done()), NOW) is None


def test_an_answer_goes_to_who_asked(dispatcher: ExecutorDispatcher) -> None:
    answer = dispatcher.answer("client", "client-1", Accepted())

    assert answer == Envelope("executor", "client", "client-1", Accepted())


def test_a_repeated_execution_gets_the_last_answer_again(dispatcher: ExecutorDispatcher) -> None:
    dispatcher.hear(asking(Execution("plan")), NOW)

    done = dispatcher.answer("client", "client-1", Done())

    assert dispatcher.hear(asking(Execution("plan")), NOW) == done


def test_that_an_execution_was_accepted_is_no_last_word(dispatcher: ExecutorDispatcher) -> None:
    """Another executor may have had the plan and died: then the repeat is for this one to carry out."""
    first = dispatcher.hear(asking(Execution("plan")), NOW)

    dispatcher.answer("client", "client-1", Accepted())

    assert dispatcher.hear(asking(Execution("plan")), NOW) == first


def test_that_there_was_no_room_is_no_last_word(dispatcher: ExecutorDispatcher) -> None:
    first = dispatcher.hear(asking(Execution("plan")), NOW)

    dispatcher.answer("client", "client-1", Failed.of(PeerBusy("there is enough to do here", "plan")))

    assert dispatcher.hear(asking(Execution("plan")), NOW) == first


def test_an_execution_that_was_never_answered_is_asked_again(dispatcher: ExecutorDispatcher) -> None:
    first = dispatcher.hear(asking(Execution("plan")), NOW)

    assert dispatcher.hear(asking(Execution("plan")), NOW) == first


def test_an_event_being_worked_on_is_not_handed_on_twice(dispatcher: ExecutorDispatcher) -> None:
    event = asking(Event("plan", 3, b""))
    dispatcher.hear(event, NOW)

    again = dispatcher.hear(event, NOW)
    dropped = dispatcher.answer("client", "client-1", Failed.of(EventDropped("the step ended", "plan")))

    assert again is None
    assert dispatcher.hear(event, NOW) == dropped


@pytest.mark.parametrize(
    ("message", "response"), [(CancelPlan("plan"), Told([2])), (HaltPlan("plan"), Done())]
)
def test_what_is_asked_about_a_plan_is_asked_again_until_it_is_answered(
    dispatcher: ExecutorDispatcher, message: object, response: Done | Told
) -> None:
    """The plan may have been lost, and the answer with it."""
    assert dispatcher.hear(asking(message), NOW) == dispatcher.hear(asking(message), NOW) is not None

    answer = dispatcher.answer("client", "client-1", response)

    assert dispatcher.hear(asking(message), NOW) == answer


def test_that_a_plan_is_not_here_is_not_remembered(dispatcher: ExecutorDispatcher) -> None:
    dispatcher.answer("client", "client-1", Failed.of(NoExecutor("not here", "plan")))

    assert dispatcher.hear(asking(HaltPlan("plan")), NOW) == HaltRequested("plan", "client", "client-1")


def test_status_is_asked_anew_each_time(dispatcher: ExecutorDispatcher) -> None:
    dispatcher.answer("client", "client-1", ExecutionStatus({}))

    assert dispatcher.hear(asking(Status()), NOW) == StatusAsked("client", "client-1", None)


def test_only_so_many_answers_are_remembered() -> None:
    dispatcher = ExecutorDispatcher("executor", remembered=2)

    answers = [dispatcher.answer("client", f"client-{number}", Done()) for number in (1, 2, 3)]

    forgotten = dispatcher.hear(asking(Execution("plan"), "client-1"), NOW)
    assert forgotten == PlanRequested("plan", "client", "client-1")
    assert dispatcher.hear(asking(Execution("plan"), "client-3"), NOW) == answers[2]
