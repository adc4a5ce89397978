"""What a client makes of answers about workers and ends: values, or errors that say what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dynflow_mp.dispatchers.client_decisions import ClientDecisions, Timings
from dynflow_mp.dispatchers.decisions import Decision, Fail, Resolve, Send
from dynflow_mp.errors import RequestError, RequestTimeout
from dynflow_mp.executor.counts import Counts
from dynflow_mp.model.messages import Accepted, Done, Drain, Envelope, Ping, Response, Workers, WorkersTold
from dynflow_mp.model.workers_report import WorkersReport

NOW = datetime(2026, 11, 26, tzinfo=UTC)
REPORT = WorkersReport("x", NOW, NOW, None, 0, (), (), Counts().told({}))


@pytest.fixture
def client() -> ClientDecisions:
    return ClientDecisions("client", Timings(), lambda: 0.5)


def only(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def answered(client: ClientDecisions, response: Response) -> Decision:
    return only(client.heard(Envelope("x", "client", "r", response), 1.0))


def test_a_report_becomes_the_futures_value(client: ClientDecisions) -> None:
    sent = client.ask("r", Workers(), "x", 5.0, 0.0)

    assert sent == [Send(Envelope("client", "x", "r", Workers()))]
    assert answered(client, WorkersTold(REPORT.to_data())) == Resolve("r", REPORT)
    assert len(client) == 0


def test_a_report_that_cannot_be_read_fails_the_future(client: ClientDecisions) -> None:
    client.ask("r", Workers(), "x", 5.0, 0.0)

    decision = answered(client, WorkersTold({"at": "noon"}))

    assert isinstance(decision, Fail)
    assert type(decision.error) is RequestError
    assert "world x sent a report that cannot be read" in str(decision.error)


def test_a_world_that_has_begun_to_end_has_done_what_was_asked(client: ClientDecisions) -> None:
    client.ask("r", Drain(), "x", 5.0, 0.0)

    assert answered(client, Done()) == Resolve("r", True)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Ping(), "world x did not answer in time"),
        (Workers(), "world x did not answer in time; one of an older version does not know this request"),
        (Drain(), "world x did not answer in time; one of an older version does not know this request"),
    ],
)
def test_an_older_world_says_nothing_and_the_future_says_why(
    client: ClientDecisions, message: Ping | Workers | Drain, words: str
) -> None:
    client.ask("r", message, "x", 5.0, 0.0)

    decision = only(client.due(5.0))

    assert isinstance(decision, Fail)
    assert isinstance(decision.error, RequestTimeout)
    assert str(decision.error) == words


def test_a_word_that_is_no_answer_does_not_keep_a_question_open_for_ever(client: ClientDecisions) -> None:
    client.ask("r", Ping(), "x", 5.0, 0.0)

    assert client.heard(Envelope("x", "client", "r", Accepted()), 1.0) == []

    decision = only(client.due(6.0))
    assert isinstance(decision, Fail)
    assert isinstance(decision.error, RequestTimeout)
