"""Envelopes that nobody will take are removed; those of living worlds stay."""

from __future__ import annotations

import pytest

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.maintenance.dead_letters import DeadLetters
from dynflow_mp.maintenance.directory import WorldDirectory
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.envelopes import EnvelopeStore, Letter

HOUR_US = 3600 * 1_000_000
DATABASE, SOCKET = "database://envelopes", "ipc:///run/x"


@pytest.fixture
def envelopes(database: Database) -> EnvelopeStore:
    return EnvelopeStore(database)


def posted(envelopes: EnvelopeStore, *letters: tuple[str, int]) -> None:
    envelopes.write("poster", [Letter(receiver, number, "poster", b"x") for receiver, number in letters], {})


def test_what_waits_for_worlds_that_are_over_is_removed(
    envelopes: EnvelopeStore, coordinator: Coordinator
) -> None:
    now = now_us()
    for world_id in ("living", "dead"):
        coordinator.register_world(WorldRecord(world_id, executor=False))
    coordinator.set_world_state("dead", "dead")
    posted(envelopes, ("living", now), ("dead", now + 1), ("never there", now + 2), ("dead", now + 3))

    removed = DeadLetters(envelopes, coordinator).clear()

    assert removed == 3
    assert envelopes.receivers() == {"living": now}


def test_what_a_living_world_has_not_taken_for_an_hour_is_removed(
    envelopes: EnvelopeStore, coordinator: Coordinator
) -> None:
    """Whoever sent it would have withdrawn it: it died."""
    now = now_us()
    coordinator.register_world(WorldRecord("living", executor=False))
    posted(envelopes, ("living", now - 2 * HOUR_US), ("living", now))

    assert DeadLetters(envelopes, coordinator).clear() == 1
    assert envelopes.receivers() == {"living": now}


def test_letters_are_taken_in_the_order_of_each_poster_and_taken_ones_are_gone(
    envelopes: EnvelopeStore,
) -> None:
    for poster in ("a", "b"):
        envelopes.write(poster, [Letter("x", number, poster, b"%d" % number) for number in (1, 2, 3)], {})
    large = Letter("x", 4, "a", b"y" * 100_000)
    envelopes.write("a", [large, large], {})

    found = envelopes.waiting("x")
    envelopes.write("x", [], {"a": 2, "b": 1})

    assert [letter.number for letter in found if letter.posted_by == "a"] == [1, 2, 3, 4]
    assert found[-1] == large._replace(data=None)
    assert envelopes.load(found[-1]) == large.data
    assert sorted((letter.posted_by, letter.number) for letter in envelopes.waiting("x")) == [
        ("a", 3),
        ("a", 4),
        ("b", 2),
        ("b", 3),
    ]
    assert envelopes.not_taken("a") == {"x": 3}
    envelopes.withdraw("a", "x", 4)
    assert envelopes.not_taken("a") == {}


def test_letters_of_many_posters_are_acknowledged_together(envelopes: EnvelopeStore) -> None:
    posters = [f"poster-{number}" for number in range(20)]
    for poster in posters:
        envelopes.write(poster, [Letter("x", number, poster, b"x") for number in (1, 2)], {})
        envelopes.write(poster, [Letter("y", 3, poster, b"x")], {})

    envelopes.write("x", [Letter("y", 4, "x", b"x")], dict.fromkeys(posters[1:], 1))

    left = sorted((letter.posted_by, letter.number) for letter in envelopes.waiting("x"))
    assert left == sorted([("poster-0", 1), *((poster, 2) for poster in posters)])
    assert len(envelopes.waiting("y")) == 21


@pytest.mark.parametrize(("transport", "reached"), [("database", ["one"]), ("ipc", ["other"])])
def test_only_worlds_that_are_reached_in_the_same_way_are_listed(
    coordinator: Coordinator, transport: str, reached: list[str]
) -> None:
    for world_id, endpoint in {"one": DATABASE, "other": SOCKET}.items():
        coordinator.register_world(
            WorldRecord(world_id, executor=True, meta={"endpoint": endpoint, "takes_work": True})
        )
    directory = WorldDirectory(coordinator, {transport})

    assert [executor.world_id for executor in directory.executors()] == reached
    assert [world_id for world_id in ("one", "other") if directory.endpoint(world_id)] == reached


def test_a_world_that_was_declared_dead_is_not_addressed_any_more(coordinator: Coordinator) -> None:
    coordinator.register_world(WorldRecord("x", executor=True, meta={"endpoint": DATABASE}))
    directory = WorldDirectory(coordinator)
    before = directory.endpoint("x")

    coordinator.set_world_state("x", "dead")

    assert (before, directory.endpoint("x")) == (DATABASE, None)
