"""Envelopes: what worlds say survives the way, and nothing else gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp import errors
from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import (
    ANY_EXECUTOR,
    VERSION,
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
    WorkersTold,
)

MESSAGES = [
    Execution("p"),
    Execution("p", "slow"),
    Event("p", 3, b"data"),
    Event("p", 3, b"data", True, 1.5),
    CancelPlan("p"),
    CancelPlan("p", True),
    HaltPlan("p"),
    Told([2, 5]),
    Ping(),
    Status(),
    Status("p"),
    Workers(),
    WorkersTold({"queues": [], "workers": [{"id": "w1", "pid": None}], "degraded": None}),
    Drain(),
    Accepted(),
    Done(),
    Failed("PlanStopped", "it is over", "p"),
    Pong(),
    ExecutionStatus({"default": {"pool_size": 2, "free_workers": 1, "queue_size": 0}}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_the_way(message):
    envelope = Envelope("a", ANY_EXECUTOR, "a-1", message)

    back = Envelope.from_bytes(envelope.to_bytes())

    assert back == envelope
    assert type(back.message) is type(message)


def test_messages_without_fields_are_told_apart():
    assert Done() != Accepted()
    assert Done() == Done()
    assert Ping() != Pong()
    assert len({Done(), Accepted(), Done()}) == 2


def test_an_answer_goes_back_to_the_sender_under_the_same_request():
    envelope = Envelope("client", "executor", "client-7", Execution("p"))

    assert envelope.answer("executor", Done()) == Envelope("executor", "client", "client-7", Done())


def test_requests_are_told_from_responses():
    assert Envelope("a", "b", "1", Ping()).is_request
    assert not Envelope("a", "b", "1", Pong()).is_request


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        [VERSION + 1, "a", "b", "1", "Ping", []],
        [VERSION, "a", "b", "1", "Ping"],
        [VERSION, "a", "b", 1, "Ping", []],
        [VERSION, "a", "b", "1", "Pickle", []],
        [VERSION, "a", "b", "1", "__class__", []],
        [VERSION, "a", "b", "1", "Execution", []],
        [VERSION, "a", "b", "1", "Execution", [1]],
        [VERSION, "a", "b", "1", "Execution", ["p", "q", "r"]],
        [VERSION, "a", "b", "1", "Event", ["p", "3", b""]],
        [VERSION, "a", "b", "1", "Workers", [1]],
        [VERSION, "a", "b", "1", "WorkersTold", [[]]],
        [VERSION, "a", "b", "1", "Done", [1]],
        [VERSION, "a", "b", "1", "Done", {}],
    ],
)
def test_what_is_not_an_envelope_is_a_protocol_error(fields):
    with pytest.raises(ProtocolError):
        Envelope.from_bytes(encode(fields, "test"))


@given(st.binary(max_size=100))
def test_random_bytes_are_a_protocol_error_and_nothing_else(data):
    with pytest.raises(ProtocolError):
        Envelope.from_bytes(data)


def test_a_failure_comes_back_as_its_own_class():
    error = Failed.of(errors.PlanStopped("plan p is stopped", "p")).to_error()

    assert isinstance(error, errors.PlanStopped)
    assert str(error) == "plan p is stopped"
    assert error.plan_id == "p"


@pytest.mark.parametrize("name", ["SystemExit", "annotations", "ConfigError", "nothing", "DynflowError"])
def test_a_failure_of_another_name_comes_back_as_a_request_error(name):
    """No class is made from a name on the wire unless it is one of the request errors."""
    error = Failed(name, "text").to_error()

    assert type(error) is errors.RequestError
    assert "text" in str(error)
