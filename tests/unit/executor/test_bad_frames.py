"""What may come over the workers' socket, and shall harm nobody: row by row what guarantees call bad wire frames."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.executor.news import WorkerReady, WorkFinished
from dynflow_mp.executor.reception import Reception
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import StepOutcome

TOKEN = b"t" * 32
OUTCOMES = wire.encode_outcomes([(1, StepOutcome(1, StepState.SUCCESS, 0, 0.0, 0.0, 1.0))])
HEAD = bytes((wire.VERSION, wire.OUTCOMES))

BODIES = {
    "none at all": b"",
    "one byte": b"\x01",
    "another version": b"\x09" + OUTCOMES[1:],
    "an unknown kind": bytes((wire.VERSION, 200)) + OUTCOMES[2:],
    "a kind that workers do not send": wire.encode_recall([1]),
    "a kind without a body": HEAD,
    "cut short": OUTCOMES[:-3],
    "with something behind it": OUTCOMES + b"\x00",
    "a list of four billion items": HEAD + b"\xdd\xff\xff\xff\xff",
    "a map of four billion items": HEAD + b"\xdf\xff\xff\xff\xff",
    "a text of four gigabytes": HEAD + b"\xdb\xff\xff\xff\xff",
    "bytes of four gigabytes": HEAD + b"\xc6\xff\xff\xff\xff",
    "an extension of four gigabytes": HEAD + b"\xc9\xff\xff\xff\xff\x05",
    "a hundred thousand levels": HEAD + b"\x91" * 100_000 + b"\xc0",
    "text that is no UTF-8": HEAD + b"\x91\x92\x01\xa2\xff\xfe",
    "a timestamp of a wrong length": HEAD + b"\x91\x92\x01\xd4\xff\x00",
    "a map as a map's key": HEAD + b"\x81\x81\x01\x02\x03",
    "an unknown extension": HEAD + b"\x91\x92\x01\xd4\x63\x00",
    "a number where a list should be": HEAD + b"\x07",
    "an outcome without a number": HEAD + msgpack.packb([["one", []]]),
    "an outcome with a state that steps do not end in": wire.encode_outcomes(
        [(1, (1, "running", 0, 0, 0, 0))]
    ),
    "a hello in the middle": wire.encode_hello(wire.Hello(TOKEN, wire.WORK_LANE, 7)),
}


class Child:
    """Stands for the process."""

    pid = 7

    def __init__(self) -> None:
        self.signals: list[int] = []

    def signal_group(self, number: int) -> None:
        self.signals.append(number)


class Worker:
    """Stands for a worker of ours that was started and has said nothing yet."""

    def __init__(self, name: str) -> None:
        self.id, self.queue, self.token = name, "default", TOKEN
        self.child, self.fault = Child(), None
        self.lanes: set[int] = set()
        self.held, self.returns_heard, self.last_pong = {1: None}, 0, None

    @property
    def ready(self) -> bool:
        return len(self.lanes) == 2

    def hear_startup(self) -> Any:
        return SimpleNamespace(doubts=())


class House:
    """Two workers, what is heard of them, and news of it."""

    def __init__(self) -> None:
        self.worker, self.other = Worker("w"), Worker("o")
        routes = {
            b"w1": (self.worker, wire.WORK_LANE),
            b"w2": (self.worker, wire.CONTROL_LANE),
            b"o1": (self.other, wire.WORK_LANE),
            b"o2": (self.other, wire.CONTROL_LANE),
        }
        self.reception = Reception(SimpleNamespace(by_route=routes, starting={}))  # type: ignore[arg-type]

    def greet(self, worker: str, token: bytes = TOKEN, pid: int = 7) -> None:
        for route, lane in ((f"{worker}1", wire.WORK_LANE), (f"{worker}2", wire.CONTROL_LANE)):
            self.reception.take(route.encode(), wire.encode_hello(wire.Hello(token, lane, pid)))

    @property
    def heard(self) -> list[type]:
        return [type(news) for news in self.reception.news]


@pytest.fixture
def house() -> House:
    house = House()
    house.greet("o")
    house.reception.news.clear()
    return house


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_bad_frame_ends_who_sent_it_and_nobody_else(house: House, body: bytes) -> None:
    house.greet("w")

    house.reception.take(b"w1", body)
    house.reception.take(b"o1", OUTCOMES)

    assert house.reception.protocol_errors == 1
    assert (len(house.worker.child.signals), house.other.child.signals) == (1, [])
    assert house.worker.fault
    assert house.heard == [WorkerReady, WorkFinished]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_bad_frame_before_hello_is_not_heard(house: House, body: bytes) -> None:
    if body == BODIES["a hello in the middle"]:
        pytest.skip("is a hello")

    house.reception.take(b"w1", body)

    assert house.reception.protocol_errors == 1
    assert house.heard == []
    assert not house.worker.lanes


@pytest.mark.parametrize(
    ("token", "pid"),
    [(b"x" * 32, 7), (b"", 7), (TOKEN[:-1], 7), (TOKEN, 8)],
    ids=["another token", "no token", "a piece of the token", "another process"],
)
def test_a_hello_of_somebody_else_is_refused(house: House, token: bytes, pid: int) -> None:
    house.greet("w", token, pid)
    house.reception.take(b"w1", OUTCOMES)

    assert house.reception.protocol_errors == 3
    assert house.heard == []


def test_strangers_are_counted_and_do_not_fill_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    for _ in range(10_000):
        house.reception.take(b"stranger", OUTCOMES)

    assert house.reception.protocol_errors == 10_000
    assert len(caplog.records) == 1
    assert house.heard == []


def test_a_worker_is_killed_once_however_much_it_sends(house: House) -> None:
    house.greet("w")

    for _ in range(100):
        house.reception.take(b"w1", b"garbage")

    assert len(house.worker.child.signals) == 1
    assert house.reception.protocol_errors == 100


def test_a_frame_that_is_too_large_is_refused_where_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FRAME", 1000)

    with pytest.raises(ProtocolError, match="too large to send"):
        wire.encode_recall([2**40] * 200)
    with pytest.raises(ProtocolError, match=r"a frame of 1,001 bytes"):
        wire.kind_of(HEAD + b"x" * 999)


def test_what_follows_a_deeply_nested_frame_is_refused_without_being_shown() -> None:
    deep = b"\x91" * 500 + b"\x01"

    with pytest.raises(ProtocolError, match="ExtraData"):
        wire.decode_jobs(wire.encode_jobs([])[:2] + deep + b"\x01")
