"""What may come from other worlds, and shall be refused in one way."""

from __future__ import annotations

import msgpack
import pytest

from dynflow_mp.errors import DamagedData, DynflowError, ProtocolError, RequestError
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.messages import (
    MAX_ENVELOPE,
    VERSION,
    Envelope,
    Event,
    Execution,
    Failed,
    HaltPlan,
    Ping,
)

GOOD = Envelope("c", "x", "c-1", Ping()).to_bytes()


def envelope(*fields: object) -> bytes:
    return msgpack.packb(list(fields))


def request(kind: str, *values: object) -> bytes:
    return envelope(VERSION, "c", "x", "c-1", kind, list(values))


def event_in(delay_s: object, step_id: object = 1) -> bytes:
    return request("Event", "p", step_id, b"", False, delay_s)


BAD = {
    "nothing": b"",
    "cut short": GOOD[:-1],
    "with something behind it": GOOD + b"\x00",
    "another version": envelope(VERSION + 1, "c", "x", "c-1", "Ping", []),
    "no version": envelope(),
    "too few fields": envelope(VERSION, "c", "x", "c-1", "Ping"),
    "too many fields": envelope(VERSION, "c", "x", "c-1", "Ping", [], 1),
    "a sender that is no text": envelope(VERSION, 7, "x", "c-1", "Ping", []),
    "an unknown kind": envelope(VERSION, "c", "x", "c-1", "Shutdown", []),
    "a kind that is a class of ours, but no message": envelope(VERSION, "c", "x", "c-1", "Envelope", []),
    "a kind that is a list": envelope(VERSION, "c", "x", "c-1", ["Ping"], []),
    "values that are no list": envelope(VERSION, "c", "x", "c-1", "Execution", {"plan_id": "p"}),
    "too many values": envelope(VERSION, "c", "x", "c-1", "Ping", [1]),
    "too few values": envelope(VERSION, "c", "x", "c-1", "Event", ["p"]),
    "a value of another type": envelope(VERSION, "c", "x", "c-1", "Event", ["p", "1", b""]),
    "a plan that has no id": request("Execution", None),
    "a plan whose id is empty": request("HaltPlan", ""),
    "a plan whose id no database takes": request("Execution", "p\0"),
    "a plan whose id is not ASCII": request("CancelPlan", "plän"),
    "a plan whose id is a book": request("Execution", "p" * 1_000_000),
    "a queue whose name is a book": request("Execution", "p", "q" * 1_000_000),
    "a sender whose id is a book": envelope(VERSION, "c" * 1_000_000, "x", "c-1", "Ping", []),
    "a request whose id is a book": envelope(VERSION, "c", "x", "c" * 1_000_000, "Ping", []),
    "a request whose id no database takes": envelope(VERSION, "c", "x", "c\0", "Ping", []),
    "a step that is no number": event_in(None, step_id=True),
    "a step below all": event_in(None, step_id=-1),
    "a step above all": event_in(None, step_id=2**40),
    "a delay that is no number": event_in(float("nan")),
    "a delay without end": event_in(float("inf")),
    "a delay into the past": event_in(-1.0),
    "a delay longer than the world stands": event_in(1e300),
    "a delay of true": event_in(True),
    "a map": msgpack.packb({"version": VERSION}),
    "a list of four billion items": b"\xdd\xff\xff\xff\xff",
    "a text of four gigabytes": b"\x96\x01\xdb\xff\xff\xff\xff",
    "a hundred thousand levels": b"\x91" * 100_000,
    "text that is no UTF-8": b"\x96\x01\xa1\xff",
    "a number as a map's key": b"\x96\x01\xa1c\xa1x\xa1r\xa4Ping\x81\x01\x02",
    "a bad timestamp": b"\x91\xd4\xff\x00",
    "a timestamp out of all years": b"\x91\xc7\x0c\xff\x00\x00\x00\x00\x7f" + b"\xff" * 7,
    "an unknown extension": b"\x91\xd4\x63\x00",
    "too much": b"\xc6" + (MAX_ENVELOPE + 1).to_bytes(4, "big") + bytes(MAX_ENVELOPE + 1),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_envelope_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Envelope.from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        request("K" * 1_000_000),
        request("Ping", msgpack.ExtType(5, b"z" * 1_000_000)),
    ],
    ids=["a kind", "a signal"],
)
def test_what_is_refused_is_not_told_at_length(data: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        Envelope.from_bytes(data)

    assert len(str(refused.value)) < 400


def test_g36_an_envelope_that_is_too_large_is_refused_where_it_is_made() -> None:
    with pytest.raises(DynflowError, match="more than"):
        Envelope("c", "x", "c-1", Event("p", 1, bytes(MAX_ENVELOPE))).to_bytes()


@pytest.mark.parametrize(
    "message",
    [Event("p", 1, b"", False, 1e12), Event("p", 0, b""), Execution("p" * 1000), HaltPlan("")],
    ids=lambda message: type(message).__name__,
)
def test_g36_what_its_receiver_would_refuse_is_not_sent(message: Event | Execution | HaltPlan) -> None:
    with pytest.raises(ProtocolError, match="that nobody takes"):
        Envelope("c", "x", "c-1", message).to_bytes()


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "SystemExit", "subprocess.Popen", "DynflowError", "__class__"]
)
def test_g37_a_failure_names_a_request_error_of_ours_or_is_a_plain_one(name: str) -> None:
    error = Failed(name, "rm -rf /", "plan").to_error()

    assert type(error) is RequestError
    assert str(error) == f"{name}: rm -rf /"


@pytest.mark.parametrize("code", [*range(-128, 1), *range(6, 128)])
def test_g37_only_our_own_extensions_are_read(code: int) -> None:
    data = b"\xd8" + code.to_bytes(1, "big", signed=True) + bytes(16)

    with pytest.raises(DamagedData):
        decode(data)


def test_a_timestamp_is_read_as_plain_data() -> None:
    value = decode(b"\xd6\xff\x00\x00\x00\x01")

    assert encode(value, "value")
