"""Events of actions to other plans: stored with what asked for them, sent until they have arrived, by whoever lives (G8)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest
from sqlalchemy import select
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.director.instructions import SendEvent
from dynflow_mp.errors import EventDropped, NobodyTakesEvents, UnprocessableEvent, WorldTerminated
from dynflow_mp.maintenance.event_post import EventPost
from dynflow_mp.model.work import PlannedEvent
from dynflow_mp.model.writes import PostEvent
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.posted_events import PostedEvent, PostedEvents
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import posted_events

TO = plan_id(2)
Turn = Callable[..., frozenset[str]]


class Road:
    """Where events leave, and where a test says what has become of them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float | None]] = []
        self.open: dict[str, Future[bool]] = {}

    def send(self, event: PostedEvent, delay_s: float | None) -> Future[bool]:
        self.sent.append((event.id, delay_s))
        future = self.open[event.id] = Future()
        return future

    def answer(self, event_id: str, error: Exception | None = None) -> None:
        future = self.open.pop(event_id)
        if error is None:
            future.set_result(True)
        else:
            future.set_exception(error)


@pytest.fixture
def road() -> Road:
    return Road()


@pytest.fixture
def post(database: Database, coordinator: Coordinator, road: Road) -> EventPost:
    return EventPost(PostedEvents(database), coordinator, road.send, interval_s=60.0)


@pytest.fixture
def asked_for(store: Store, turn: Turn) -> Callable[..., SendEvent]:
    """A step has asked for an event: stored with its outcome."""
    store.save_plan(a_plan())
    turn(claim(), mark(3), mark(5), mark(7))
    steps = iter((3, 5, 7))

    def ask(id_: str = "e1", due_at: int | None = None) -> SendEvent:
        delay_s = None if due_at is None else 60.0
        event = PlannedEvent(TO, 3, b"\xc0", delay_s, False)
        turn(outcome(next(steps)), PostEvent(PLAN, 1, id_, WORLD, TO, 3, b"\xc0", False, due_at, NOW))
        return SendEvent(event, PLAN, id_)

    return ask


def left(database: Database) -> list[tuple[str, str]]:
    query = select(posted_events.c.id, posted_events.c.owner_id).order_by(posted_events.c.id)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


@pytest.mark.parametrize("error", [None, UnprocessableEvent("no", TO), EventDropped("no", TO)])
def test_g8_an_event_that_has_arrived_or_never_will_is_forgotten(
    asked_for: Callable[..., SendEvent],
    post: EventPost,
    road: Road,
    database: Database,
    error: Exception | None,
):
    post.post(asked_for())
    assert left(database) == [("e1", WORLD)]
    post.round()
    assert road.sent == [("e1", None)], "it is on its way already"

    road.answer("e1", error)
    post.settle()

    assert left(database) == []


@pytest.mark.parametrize("error", [NobodyTakesEvents("not now", TO), WorldTerminated("ending")])
def test_g8_an_event_that_nobody_was_there_for_is_sent_again(
    asked_for: Callable[..., SendEvent], post: EventPost, road: Road, database: Database, error: Exception
):
    post.post(asked_for())
    road.answer("e1", error)

    post.round()

    assert [id_ for id_, _ in road.sent] == ["e1", "e1"]
    assert left(database) == [("e1", WORLD)]


def test_g8_what_was_stored_and_never_sent_leaves_in_the_first_round(
    asked_for: Callable[..., SendEvent], post: EventPost, road: Road
):
    """The executor that stored it was started again by no one: it is the same that missed to send it."""
    asked_for()

    post.round()

    assert road.sent == [("e1", None)]


def test_g8_events_of_a_dead_world_are_sent_by_another_and_keep_their_time(
    asked_for: Callable[..., SendEvent], coordinator: Coordinator, road: Road, database: Database
):
    asked_for("e1")
    asked_for("e2", due_at=NOW)  # long ago
    other = Coordinator(database, "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    post = EventPost(PostedEvents(database), other, road.send, interval_s=60.0)
    post.round()
    assert road.sent == [], "its sender lives"

    other.set_world_state(WORLD, "dead")
    post.round()

    assert sorted(road.sent) == [("e1", None), ("e2", 0.0)]
    assert left(database) == [("e1", "world-2"), ("e2", "world-2")]
    road.answer("e1")
    road.answer("e2")
    post.settle()
    assert left(database) == []


def test_a_turn_that_is_refused_sends_nothing(store: Store, turn: Turn, database: Database):
    store.save_plan(a_plan())
    turn(claim(), mark(3))

    lost = turn(outcome(3, epoch=9), PostEvent(PLAN, 9, "e1", WORLD, TO, 3, b"\xc0", False, None, NOW))

    assert lost == {PLAN}
    assert left(database) == []
