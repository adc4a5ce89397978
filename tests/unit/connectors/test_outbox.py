"""What waits for a connection, and when it comes back."""

from dynflow_mp.connectors.peers import Outbox, Waiting
from dynflow_mp.model.messages import Envelope, Ping

PATIENCE_S = 0.5


def holding(since: float) -> Outbox:
    outbox = Outbox(PATIENCE_S)
    assert outbox.put(Waiting(Envelope("a", "b", "1", Ping()), b"ping", since))
    return outbox


def looked_at(outbox: Outbox, *moments: float) -> list[int]:
    """How many come back at each look."""
    return [len(list(outbox.overdue(now))) for now in moments]


def test_what_a_connection_does_not_take_comes_back_when_it_has_stood_still_for_long():
    outbox = holding(10.0)

    assert looked_at(outbox, 10.1, 10.2, 10.3, 10.4, 10.49, 10.51) == [0, 0, 0, 0, 0, 1]
    assert not outbox


def test_a_connection_that_takes_something_has_its_time_anew():
    outbox = holding(10.0)
    outbox.put(Waiting(Envelope("a", "b", "2", Ping()), b"ping", 10.0))
    looked_at(outbox, 10.2, 10.4)
    outbox.sent(10.4)

    assert looked_at(outbox, 10.6, 10.8, 10.89, 10.91) == [0, 0, 0, 1]


def test_time_in_which_nobody_looked_does_not_count():
    outbox = holding(10.0)

    assert looked_at(outbox, 10.1, 13.1, 13.3, 13.49) == [0, 0, 0, 0]
    assert looked_at(outbox, 13.51) == [1]
