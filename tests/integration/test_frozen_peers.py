"""G34: a peer that stands still, or is slow, keeps nobody else waiting, whatever the connector."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from databases import KINDS
from test_connector_conformance import House, World, connected, eventually

from dynflow_mp.connectors import peers, receipts
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.errors import PeerBusy
from dynflow_mp.model.messages import Event, Ping, Pong
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.envelopes import EnvelopeStore

_PEER = """
import sys, threading
from dynflow_mp.model.messages import Pong

class Directory:
    def executors(self): return []
    def endpoint(self, world_id): return "database://envelopes"
    def keys(self): return {}

class Receiver:
    world_id, takes_work = "frozen", True
    def receive(self, envelope): connector.send(envelope.answer(self.world_id, Pong()))
    def undeliverable(self, envelope, error): pass

if sys.argv[1] == "database":
    from dynflow_mp.connectors.database import DatabaseConnector
    from dynflow_mp.persistence.database import Database
    connector = DatabaseConnector(Database(sys.argv[2]), Directory())
else:
    from dynflow_mp.connectors.zeromq import ZeroMQConnector
    connector = ZeroMQConnector(Directory())
connector.start_listening(Receiver())
print(connector.endpoint, flush=True)
threading.Event().wait(120)
"""

ROUNDS = 100


@pytest.fixture(params=["zeromq-ipc", *(f"database-{kind}" for kind in KINDS)])
def house(
    request: pytest.FixtureRequest, database_without_envelopes: Callable[[str], str]
) -> Iterator[House]:
    kind, _, database_kind = request.param.partition("-")
    house = (
        House(kind, database_without_envelopes(database_kind)) if kind == "database" else House("zeromq-ipc")
    )
    yield house
    house.close()


@contextmanager
def a_frozen_peer(house: House, client: World) -> Iterator[None]:
    """The process of an executor that has answered once and stands still since."""
    with subprocess.Popen(
        [sys.executable, "-c", _PEER, house.kind, house.database_url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            house.listed.append(Executor("frozen", process.stdout.readline().strip(), {"default": 2}))

            def answered() -> bool:
                client.send("frozen", Ping(), 0)
                eventually(lambda: not (client.came.empty() and client.returned.empty()))
                return not client.came.empty() and client.next().sender_id == "frozen"

            eventually(answered)
            # Not in the middle of a write, for which others would wait: it has acknowledged what it was asked.
            eventually(lambda: nothing_is_stored(house))
            process.send_signal(signal.SIGSTOP)
            eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
            yield
        finally:
            process.kill()


def nothing_is_stored(house: House) -> bool:
    """Whether no envelope is on its way through the database."""
    if house.kind != "database":
        return True
    database = Database(house.database_url)
    try:
        return not EnvelopeStore(database).receivers()
    finally:
        database.close()


def round_trips(client: World, executor: World) -> list[float]:
    """How long each of some questions takes to be answered, shortest first."""
    times = []
    for number in range(ROUNDS):
        began = time.monotonic()
        client.send(executor.world_id, Ping(), number)
        executor.answer(executor.next(), Pong())
        while client.next().sender_id != executor.world_id:
            pass
        times.append(time.monotonic() - began)
    return sorted(times)


def test_g34_a_peer_that_stands_still_keeps_nobody_else_waiting(house: House) -> None:
    """Before, beside nobody; then beside a frozen process for which a thousand messages wait."""
    executor, client = house.executor("x"), house.client("c")
    connected(client, executor)
    before = round_trips(client, executor)

    with a_frozen_peer(house, client):
        for number in range(1000):
            client.send("frozen", Event("plan", 1, b"x" * 1000), 10_000 + number)
        beside = round_trips(client, executor)

    # A busy machine spreads these a lot; who waited behind the frozen one would wait for seconds.
    assert beside[ROUNDS // 2] < 10 * before[ROUNDS // 2] + 0.05
    assert beside[-1] < 5.0


def test_g34_too_much_for_a_peer_that_stands_still_is_refused_by_name(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is bounded: what is over it comes back, and is told apart from what nobody takes."""
    for module in (peers, receipts):
        monkeypatch.setattr(module, "MAX_WAITING", 50)
    monkeypatch.setattr(peers, "HIGH_WATER_MARK", 50)
    executor, client = house.executor("x"), house.client("c")
    connected(client, executor)

    with a_frozen_peer(house, client):
        for number in range(500):
            client.send("frozen", Event("plan", 1, b"x" * 20_000), 10_000 + number)
        refused = [client.next_returned()[1] for _ in range(100)]
        client.send("x", Ping(), 1)

        assert PeerBusy in map(type, refused)
        assert executor.next().request_id == "c-1"


def test_g34_a_receiver_that_is_slow_keeps_no_other_world_of_its_process_waiting() -> None:
    """The direct connector: each world has a mailbox of its own."""
    house = House("direct")
    executor, slow, client = house.executor("x"), house.executor("slow"), house.client("c")
    go_on = threading.Event()
    slow.on_receive = lambda envelope: go_on.wait(60) and None
    try:
        for number in range(1000):
            client.send("slow", Ping(), 10_000 + number)
        times = round_trips(client, executor)
        assert times[-1] < 5.0
        assert slow.came.empty()
    finally:
        go_on.set()
        house.close()
