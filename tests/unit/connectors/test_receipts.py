"""What was posted and is not known to be taken: bounded, compared with what is stored, given up in time."""

from __future__ import annotations

import pytest

from dynflow_mp.connectors import receipts as module
from dynflow_mp.connectors.receipts import Posted, Receipts
from dynflow_mp.model.messages import Envelope, Ping

PATIENCE_S = 10.0


def posted(number: int, receiver_id: str = "x", size: int = 1) -> Posted:
    return Posted(Envelope("c", receiver_id, f"c-{number}", Ping()), receiver_id, number, size)


def after_posting(*letters: Posted, now: float = 0.0) -> Receipts:
    receipts = Receipts(PATIENCE_S)
    for letter in letters:
        assert receipts.reserve(letter.receiver_id, letter.size)
        receipts.posted(letter, now)
    return receipts


def request_ids(envelopes: list[Envelope]) -> list[str]:
    return [envelope.request_id for envelope in envelopes]


def test_what_lies_before_the_lowest_that_waits_was_taken() -> None:
    receipts = after_posting(posted(1), posted(2), posted(3), posted(4, "y"))

    receipts.compare({"x": 3}, now=1.0)

    assert receipts.receivers() == ["x"]
    assert request_ids(receipts.give_up("x", 3)) == ["c-3"]
    assert not receipts


def test_a_receiver_that_takes_nothing_is_given_up_after_some_time_and_not_before() -> None:
    receipts = after_posting(posted(1), posted(2))

    receipts.compare({"x": 1}, now=PATIENCE_S)

    assert receipts.overdue(PATIENCE_S - 0.1) == []
    assert receipts.overdue(PATIENCE_S) == [("x", 2)]
    assert request_ids(receipts.give_up("x", 2)) == ["c-1", "c-2"]


def test_a_receiver_that_is_slow_but_moves_is_not_given_up() -> None:
    receipts = after_posting(posted(1), posted(2))

    receipts.compare({"x": 2}, now=PATIENCE_S - 1)

    assert receipts.overdue(PATIENCE_S + 1) == []
    assert receipts.overdue(2 * PATIENCE_S - 1) == [("x", 2)]


def test_what_was_posted_a_moment_ago_is_not_given_up_with_what_waits_for_long() -> None:
    receipts = after_posting(posted(1))
    receipts.reserve("x", 1)
    receipts.posted(posted(2), PATIENCE_S - 1)

    assert receipts.overdue(PATIENCE_S) == [("x", 1)]
    assert request_ids(receipts.give_up("x", 1)) == ["c-1"]
    assert receipts.receivers() == ["x"]


def test_while_the_database_was_away_nobody_could_take_anything() -> None:
    receipts = after_posting(posted(1))

    receipts.begin_anew(now=100.0)

    assert receipts.overdue(100.0) == []
    assert receipts.overdue(100.0 + PATIENCE_S) == [("x", 1)]


def test_a_receiver_that_has_not_taken_something_for_seconds_is_slow() -> None:
    receipts = after_posting(posted(1))

    assert not receipts.slow("x", 1.9)
    assert receipts.slow("x", 2.0)
    assert not receipts.slow("y", 2.0)


@pytest.mark.parametrize(("limit", "size"), [("MAX_WAITING", 1), ("MAX_WAITING_BYTES", 10)])
def test_each_receiver_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch, limit: str, size: int) -> None:
    monkeypatch.setattr(module, limit, 3 * size)
    receipts = Receipts(PATIENCE_S)

    kept = [receipts.reserve(receiver, size) for receiver in ("x", "x", "x", "x", "y")]

    assert kept == [True, True, True, False, True]


def test_one_alone_fits_whatever_its_size() -> None:
    receipts = Receipts(PATIENCE_S)

    assert receipts.reserve("x", module.MAX_WAITING_BYTES + 1)
    assert not receipts.reserve("x", 1)


def test_what_was_reserved_and_never_posted_makes_room_again() -> None:
    receipts = Receipts(PATIENCE_S)
    receipts.reserve("x", 5)

    receipts.cancel(posted(1, size=5))

    assert not receipts
