"""G2, G32: the database is the truth. Worlds that hear nothing of each other run all that is asked for, and futures end."""

import pytest
from engine_actions import Chain, Held, Noop
from watching import lines_of, wait_until

from dynflow_mp import World
from dynflow_mp.connectors.connector import Connector

pytestmark = pytest.mark.usefixtures("quick_to_look")


class Mute(Connector):
    """Takes everything and delivers nothing, and says nothing of it."""

    def start_listening(self, receiver):
        pass

    def stop_receiving_new_work(self, receiver):
        pass

    def stop_listening(self, receiver):
        pass

    def send(self, envelope):
        pass


@pytest.fixture
def world(database_url):
    worlds = []

    def make(**settings):
        worlds.append(World(database_url=database_url, connector=Mute(), apps=["engine_actions"], **settings))
        return worlds[-1]

    yield make
    for made in reversed(worlds):
        made.terminate(timeout=0.0).result(60)


def test_g2_g32_plans_end_and_futures_too_when_no_message_gets_through(world, tmp_path):
    """What is asked for runs, what an executor leaves is taken over and goes on, what failed is resumed."""
    log, go = tmp_path / "log", tmp_path / "go"
    client, first = world(), world(workers=1)
    plans = [client.trigger(Chain, 3) for _ in range(5)]
    assert {each.finished.result(60).result for each in plans} == {"success"}

    held = client.trigger(Held, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), 60, "the step's beginning")
    second = world(workers=1)
    assert client.invalidate(first.id) == 1
    paused = held.finished.result(60)
    go.touch()
    resumed = client.execute(held.id).result(60)

    assert (paused.state, paused.result) == ("paused", "error")
    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert resumed.execution_history[-1].world_id == second.id
    assert first.terminated.wait(60)
    assert first.fenced is not None
    assert client.trigger(Noop).finished.result(60).result == "success"
