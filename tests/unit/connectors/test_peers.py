"""Routing ids, and what waits for a connection to have room."""

from __future__ import annotations

import pytest

from dynflow_mp.connectors.peers import Outbox, Waiting, identity_of, world_of
from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.messages import Envelope, Ping


def test_a_routing_id_says_whose_it_is_and_is_never_the_same_twice() -> None:
    first, second = identity_of("world~1"), identity_of("world~1")

    assert world_of(first) == world_of(second) == "world~1"
    assert first != second


@pytest.mark.parametrize(
    "identity",
    [
        *(b"", b"\x00abcd", b"world", b"~0123456789abcdef", b"\xff~0123456789abcdef"),
        *(b"w\n00:00 CRITICAL all is lost~0123456789abcdef", b"\x1b[2J~0123456789abcdef"),
    ],
)
def test_a_peer_that_does_not_say_who_it_is_is_refused(identity: bytes) -> None:
    with pytest.raises(ProtocolError):
        world_of(identity)


PATIENCE_S = 2.0


def waiting(size: int = 1, since: float = 0.0) -> Waiting:
    return Waiting(Envelope("a", "b", "a-1", Ping()), b"x" * size, since)


def test_an_outbox_is_bounded_in_bytes_and_one_alone_always_fits() -> None:
    outbox = Outbox(PATIENCE_S)

    kept = [outbox.put(waiting(size)) for size in (70_000_000, 1)]
    outbox.sent(0.0)
    kept.append(outbox.put(waiting(1)))

    assert kept == [True, False, True]


def test_an_outbox_is_bounded_in_number() -> None:
    outbox = Outbox(PATIENCE_S)

    kept = sum(outbox.put(waiting()) for _ in range(20_010))

    assert kept == len(outbox) == 20_000


def test_what_waits_too_long_for_a_connection_that_stands_still_is_taken_out() -> None:
    outbox = Outbox(PATIENCE_S)
    for since in (0.0, 0.5, 1.5):
        outbox.put(waiting(since=since))

    early, late = [
        [envelope for now in looks for envelope in outbox.overdue(now)] for looks in ((0.9, 1.9), (2.3, 2.6))
    ]

    assert (len(early), len(late), len(outbox)) == (0, 2, 1)


def test_what_waits_for_a_slow_connection_is_left_there() -> None:
    outbox = Outbox(PATIENCE_S)
    for _ in range(3):
        outbox.put(waiting())

    assert [list(outbox.overdue(now)) for now in (0.8, 1.5)] == [[], []]
    outbox.sent(1.5)

    assert [list(outbox.overdue(now)) for now in (2.2, 3.0)] == [[], []]
    assert len(list(outbox.overdue(3.5))) == 2
