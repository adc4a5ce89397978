"""What requests ask of the core, and that a repeated request gets the same answer."""

from __future__ import annotations

import pytest

from dynflow_mp.dispatchers.executor_dispatcher import (
    EventAsked,
    ExecutionAsked,
    ExecutorDispatcher,
    PingAsked,
    Repeat,
    StatusAsked,
)
from dynflow_mp.errors import EventDropped
from dynflow_mp.model.messages import (
    Accepted,
    Done,
    Envelope,
    Event,
    Execution,
    ExecutionStatus,
    Failed,
    Ping,
    Pong,
    Status,
)


@pytest.fixture
def dispatcher() -> ExecutorDispatcher:
    return ExecutorDispatcher("executor")


def asking(message: object, request_id: str = "client-1") -> Envelope:
    return Envelope("client", "executor", request_id, message)  # type: ignore[arg-type]  # any message


def test_each_request_becomes_what_the_core_should_hear(dispatcher: ExecutorDispatcher) -> None:
    asked = [
        dispatcher.stimulus(asking(Execution("plan"), "1")),
        dispatcher.stimulus(asking(Event("plan", 3, b"data", True, 1.5), "2")),
        dispatcher.stimulus(asking(Ping(), "3")),
        dispatcher.stimulus(asking(Status("plan"), "4")),
    ]

    assert asked == [
        ExecutionAsked("plan", "client", "1"),
        EventAsked("plan", 3, "client", "2", b"data", True, 1.5),
        PingAsked("client", "3"),
        StatusAsked("client", "4", "plan"),
    ]


def test_a_response_is_nothing_for_the_core(dispatcher: ExecutorDispatcher) -> None:
    assert dispatcher.stimulus(asking(Done())) is None


def test_an_answer_goes_to_who_asked(dispatcher: ExecutorDispatcher) -> None:
    answer = dispatcher.answer("client", "client-1", Accepted())

    assert answer == Envelope("executor", "client", "client-1", Accepted())


def test_a_repeated_execution_gets_the_last_answer_again(dispatcher: ExecutorDispatcher) -> None:
    dispatcher.stimulus(asking(Execution("plan")))

    accepted = dispatcher.answer("client", "client-1", Accepted())
    while_running = dispatcher.stimulus(asking(Execution("plan")))
    done = dispatcher.answer("client", "client-1", Done())
    afterwards = dispatcher.stimulus(asking(Execution("plan")))

    assert while_running == Repeat(accepted)
    assert afterwards == Repeat(done)


def test_an_execution_that_was_never_answered_is_asked_again(dispatcher: ExecutorDispatcher) -> None:
    first = dispatcher.stimulus(asking(Execution("plan")))

    assert dispatcher.stimulus(asking(Execution("plan"))) == first


def test_an_event_being_worked_on_is_not_handed_on_twice(dispatcher: ExecutorDispatcher) -> None:
    event = asking(Event("plan", 3, b""))
    dispatcher.stimulus(event)

    again = dispatcher.stimulus(event)
    dropped = dispatcher.answer("client", "client-1", Failed.of(EventDropped("the step ended", "plan")))

    assert again is None
    assert dispatcher.stimulus(event) == Repeat(dropped)


def test_pings_and_status_are_answered_anew_each_time(dispatcher: ExecutorDispatcher) -> None:
    dispatcher.answer("client", "client-1", Pong())
    dispatcher.answer("client", "client-2", ExecutionStatus({}))

    assert dispatcher.stimulus(asking(Ping())) == PingAsked("client", "client-1")
    assert dispatcher.stimulus(asking(Status(), "client-2")) == StatusAsked("client", "client-2", None)


def test_only_so_many_answers_are_remembered() -> None:
    dispatcher = ExecutorDispatcher("executor", remembered=2)

    for number in (1, 2, 3):
        dispatcher.answer("client", f"client-{number}", Done())

    assert isinstance(dispatcher.stimulus(asking(Execution("plan"), "client-1")), ExecutionAsked)
    assert isinstance(dispatcher.stimulus(asking(Execution("plan"), "client-3")), Repeat)
