"""Worlds that are asked for more than they can do, from where they should not, for too long: an answer at once.

More of this kind is in ``test_mishaps_of_worlds``.
"""

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

import pytest
from engine_actions import Held, Noop
from watching import lines_of, wait_until

from dynflow_mp import World
from dynflow_mp.errors import ConfigError, TooManyRequests, WorldTerminated


@pytest.fixture
def small(database_url, tmp_path):
    """An embedded world with three open requests at the most, all of them held until a file is there."""
    with World(
        database_url=database_url, workers=1, apps=["engine_actions"], max_open_requests=3, drain_grace_s=0.1
    ) as world:
        go, log = tmp_path / "go", tmp_path / "log"
        held = [world.trigger(Held, log=str(log), until=str(go)) for _ in range(3)]
        wait_until(lambda: lines_of(log), what="the first step's beginning")
        yield world, held, go


def test_what_is_triggered_without_end_waits_for_room_and_all_of_it_is_done(small):
    """A loop that never looks at its futures holds no more of them than it may."""
    world, held, go = small
    open_at_most, ids = [], []

    def trigger_on():
        for _ in range(50):
            ids.append(world.trigger(Noop))
            open_at_most.append(world._parts.client.open_requests)

    asking = threading.Thread(target=trigger_on)
    asking.start()
    asking.join(0.3)
    assert asking.is_alive()
    assert ids == []
    go.touch()
    asking.join(60)

    assert not asking.is_alive()
    assert max(open_at_most) <= 3
    assert {each.finished.result(60).result for each in (*held, *ids)} == {"success"}
    assert len(ids) == 50


def test_room_that_does_not_come_is_an_error_and_nothing_is_stored(small, monkeypatch):
    world, held, _ = small
    planned = world.plan(Noop)
    before = world.persistence.count_execution_plans()
    monkeypatch.setattr("dynflow_mp.world.ground.ROOM_S", 0.1)
    began = time.monotonic()

    for ask in (
        lambda: world.trigger(Noop),
        lambda: world.execute(planned.id),
        lambda: world.event(held[0].id, 2, "x"),
    ):
        with pytest.raises(TooManyRequests, match=r"3 requests are open.*max_open_requests"):
            ask()

    assert time.monotonic() - began < 20
    assert world.persistence.count_execution_plans() == before
    assert world.persistence.load_execution_plan(planned.id).state == "planned"


def test_who_waits_for_room_hears_that_the_world_has_ended(small):
    world, _, _ = small
    refused: Future[BaseException] = Future()

    def trigger():
        try:
            world.trigger(Noop)
        except BaseException as error:
            refused.set_result(error)

    asking = threading.Thread(target=trigger)
    asking.start()
    asking.join(0.2)

    world.terminate(timeout=0.0)

    assert isinstance(refused.result(60), WorldTerminated)


@pytest.mark.parametrize("most", [0, -1, 1.5, "many", None, True])
def test_a_number_of_open_requests_that_cannot_be_is_refused(most):
    with pytest.raises(ConfigError, match="max_open_requests="):
        World(max_open_requests=most)


@pytest.mark.parametrize("timeout", [-1, 0, float("nan"), 0.01])
def test_a_future_that_is_waited_for_too_shortly_does_not_hang(small, timeout):
    _, held, _ = small

    with pytest.raises(FutureTimeout):
        held[0].finished.result(timeout)


def test_a_future_cannot_be_taken_back(small):
    """Its plan is stored: it can be cancelled or halted, not unasked."""
    _, held, go = small

    assert held[0].finished.cancel() is False
    go.touch()
    assert held[0].finished.result(60).result == "success"


def test_many_threads_may_use_one_world(small):
    world, _, go = small
    go.touch()
    results = []

    def use():
        results.append(world.trigger(Noop).finished.result(60).result)
        world.persistence.count_execution_plans()
        world.ping(world.id).result(60)

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert results == ["success"] * 10
