"""What only the connector over the database does: rows, looks, acknowledgements, outages.

That it does what every connector must do is in ``test_connector_conformance``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databases import MYSQL, POSTGRESQL, SQLITE
from sqlalchemy import func, insert, select, text
from test_connector_conformance import World, eventually

from dynflow_mp.connectors import receipts
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.connectors.database import ENDPOINT, DatabaseConnector
from dynflow_mp.errors import ConnectorError, NoExecutor, PeerBusy, PersistenceError, UnknownReceiver
from dynflow_mp.model.messages import ANY_EXECUTOR, MAX_ENVELOPE, Done, Envelope, Execution, Ping, Pong
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.envelopes import EnvelopeStore, Letter
from dynflow_mp.persistence.tables import envelopes

LONG_S = 5.0
"""The longest interval between two looks that a user can ask for."""


class Village:
    """Worlds with nothing but a database in common, and the directory they share."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.here: dict[str, bool] = {}
        self.worlds: list[World] = []
        self._databases: list[Database] = []
        self.database = self.open_database()

    def executors(self) -> list[Executor]:
        return [
            Executor(name, ENDPOINT, {"default": 2}) for name, takes_work in self.here.items() if takes_work
        ]

    def endpoint(self, world_id: str) -> str | None:
        return ENDPOINT if world_id in self.here else None

    def open_database(self) -> Database:
        self._databases.append(Database(self.url))
        return self._databases[-1]

    def world(self, world_id: str, takes_work: bool = True, **timings: float) -> World:
        connector = DatabaseConnector(self.open_database(), self, **{"refresh_s": 0.1, **timings})
        world = World(world_id, takes_work, connector)
        connector.start_listening(world)
        self.here[world_id] = takes_work
        self.worlds.append(world)
        return world

    def client(self, world_id: str, **timings: float) -> World:
        return self.world(world_id, takes_work=False, **timings)

    def rows(self) -> int:
        with self.database.read() as connection:
            found: int = connection.execute(select(func.count()).select_from(envelopes)).scalar_one()
        return found

    def close(self) -> None:
        for world in self.worlds:
            world.connector.stop_listening(world)
        for database in self._databases:
            database.close()


@pytest.fixture
def village(
    request: pytest.FixtureRequest, database_without_envelopes: Callable[[str], str]
) -> Iterator[Village]:
    village = Village(database_without_envelopes(getattr(request, "param", SQLITE)))
    yield village
    village.close()


on_every_database = pytest.mark.parametrize("village", [SQLITE, POSTGRESQL, MYSQL], indirect=True)
on_postgresql = pytest.mark.parametrize("village", [POSTGRESQL], indirect=True)


def answered(client: World, executor: World, number: int) -> float:
    """How long it takes until a question is answered, in seconds."""
    began = time.monotonic()
    client.send(executor.world_id, Ping(), number)
    executor.answer(executor.next(), Pong())
    assert client.next().message == Pong()
    return time.monotonic() - began


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[float]:
    """The times at which this method of the store is called from now on."""
    calls: list[float] = []
    real = getattr(EnvelopeStore, name)

    def counted(self: EnvelopeStore, *arguments: Any) -> Any:
        calls.append(time.monotonic())
        return real(self, *arguments)

    monkeypatch.setattr(EnvelopeStore, name, counted)
    return calls


# -- acknowledging -------------------------------------------------------------------------------


@on_every_database
def test_what_was_handed_over_is_not_stored_any_more(village: Village) -> None:
    executor, client = village.world("x"), village.client("c")

    for number in range(300):
        client.send("x", Ping(), number)
    for _ in range(300):
        executor.answer(executor.next(), Pong())
    for _ in range(300):
        client.next()

    eventually(lambda: village.rows() == 0)


_RECEIVER = """
import os, signal, sys, threading
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.connectors.database import DatabaseConnector
from dynflow_mp.persistence.database import Database

class Directory:
    def executors(self): return []
    def endpoint(self, world_id): return "database://envelopes"

class Receiver:
    world_id, takes_work = "x", True
    def receive(self, envelope):
        print(envelope.request_id, flush=True)
        if envelope.request_id == "c-2":
            os.kill(os.getpid(), signal.SIGKILL)
    def undeliverable(self, envelope, error): pass

connector = DatabaseConnector(Database(sys.argv[1]), Directory())
connector.start_listening(Receiver())
threading.Event().wait(60)
"""


@on_every_database
def test_g31_what_was_not_acknowledged_when_its_receiver_was_killed_comes_again(village: Village) -> None:
    """Deleted only once it was handed over: a receiver that is killed in between gets it again."""
    village.here["x"] = True
    client = village.client("c", refresh_s=30)
    for number in range(4):
        client.send("x", Ping(), number)
    eventually(lambda: village.rows() == 4)

    killed = subprocess.run([sys.executable, "-c", _RECEIVER, village.url], capture_output=True, timeout=60)
    successor = village.world("x")

    assert killed.stdout.split() == [b"c-0", b"c-1", b"c-2"]
    assert [successor.next().request_id for _ in range(4)] == ["c-0", "c-1", "c-2", "c-3"]
    eventually(lambda: village.rows() == 0)


def test_g31_an_acknowledgement_that_fails_makes_nothing_come_twice(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, client = village.world("x"), village.client("c")
    refused = iter(range(5))
    write = EnvelopeStore.write

    def fail_some(self: EnvelopeStore, own_id: str, letters: list[Letter], taken: dict[str, int]) -> None:
        if taken and next(refused, None) is not None:
            raise PersistenceError("the database is away", "connection")
        write(self, own_id, letters, taken)

    monkeypatch.setattr(EnvelopeStore, "write", fail_some)
    for number in range(10):
        client.send("x", Ping(), number)

    assert [executor.next().request_id for _ in range(10)] == [f"c-{number}" for number in range(10)]
    eventually(lambda: village.rows() == 0)
    assert next(refused, None) is None
    assert executor.came.empty()


@on_every_database
def test_g31_a_commit_that_nobody_knows_of_is_repeated_and_delivers_once(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost as a commit is answered, and its receiver is quicker than who repeats it."""
    executor, client = village.world("x"), village.client("c")
    doubted = 0
    write = EnvelopeStore.write

    def commit_and_fail(
        self: EnvelopeStore, own_id: str, letters: list[Letter], taken: dict[str, int]
    ) -> None:
        nonlocal doubted
        write(self, own_id, letters, taken)
        if letters and doubted < 3:
            doubted += 1
            raise PersistenceError("the connection was lost", "connection")

    monkeypatch.setattr(EnvelopeStore, "write", commit_and_fail)
    for number in range(100):
        client.send("x", Ping(), number)

    assert [executor.next().request_id for _ in range(100)] == [f"c-{number}" for number in range(100)]
    eventually(lambda: doubted == 3)
    client.send("x", Ping(), 100)
    assert executor.next().request_id == "c-100"
    eventually(lambda: village.rows() == 0)
    assert executor.came.empty()


def test_a_transaction_takes_all_there_is(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand messages and their acknowledgements are some dozens of commits, not thousands."""
    executor, client = village.world("x"), village.client("c")
    answered(client, executor, 0)
    writes = count_calls(monkeypatch, "write")

    for number in range(2000):
        client.send("x", Ping(), number)
    for _ in range(2000):
        executor.next()

    assert len(writes) < 400


# -- giving back ---------------------------------------------------------------------------------


@on_every_database
def test_what_nobody_takes_comes_back_and_is_removed(village: Village) -> None:
    """Its receiver is registered and stands still, as a frozen process does."""
    village.here["frozen"] = True
    client = village.client("c", patience_s=0.3)

    named = client.send("frozen", Ping(), 1)
    any_one = client.send(ANY_EXECUTOR, Execution("plan"), 2)
    returned = [client.next_returned() for _ in range(2)]

    assert [envelope for envelope, _ in returned] == [named, any_one]
    assert [type(error) for _, error in returned] == [UnknownReceiver, NoExecutor]
    eventually(lambda: village.rows() == 0)


def test_what_waits_for_a_world_that_has_gone_comes_back_at_once(village: Village) -> None:
    village.here["dying"] = True
    client = village.client("c", patience_s=1000)
    sent = client.send("dying", Ping())
    eventually(lambda: village.rows() == 1)

    del village.here["dying"]
    envelope, error = client.next_returned()

    assert envelope == sent
    assert isinstance(error, UnknownReceiver)
    eventually(lambda: village.rows() == 0)


def test_an_executor_that_takes_nothing_is_passed_over(village: Village) -> None:
    village.here["frozen"] = True
    executor, client = village.world("x"), village.client("c", patience_s=0.3)
    for number in range(2):  # one for each of them
        client.send(ANY_EXECUTOR, Execution("plan"), number)
    client.next_returned()

    for number in range(2, 12):
        client.send(ANY_EXECUTOR, Execution("plan"), number)

    eventually(lambda: executor.came.qsize() == 11)
    assert client.returned.empty()


def test_g34_too_much_for_one_receiver_is_refused_and_others_get_theirs(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "MAX_WAITING", 5)
    village.here["frozen"] = True
    executor, client = village.world("x"), village.client("c")

    for number in range(8):
        client.send("frozen", Ping(), number)
    client.send("x", Ping(), 9)

    assert executor.next().request_id == "c-9"
    refused = [client.next_returned() for _ in range(3)]
    assert [(envelope.request_id, type(error)) for envelope, error in refused] == [
        (f"c-{number}", PeerBusy) for number in (5, 6, 7)
    ]
    assert village.rows() >= 5


def test_a_receiver_that_has_taken_has_room_again(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "MAX_WAITING", 5)
    executor, client = village.world("x"), village.client("c")

    for number in range(50):

        def taken(number: int = number) -> bool:
            client.send("x", Ping(), number)
            eventually(lambda: not executor.came.empty() or not client.returned.empty())
            if executor.came.empty():
                assert isinstance(client.next_returned()[1], PeerBusy)
                return False
            return executor.next().request_id == f"c-{number}"

        eventually(taken)


@on_every_database
def test_damaged_rows_are_counted_and_removed_and_harm_nobody(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[bytes | None] = []
    load = EnvelopeStore.load
    monkeypatch.setattr(
        EnvelopeStore, "load", lambda self, letter: loaded.append(load(self, letter)) or loaded[-1]
    )
    executor, client = village.world("x"), village.client("c")
    connector = executor.connector
    assert isinstance(connector, DatabaseConnector)
    for_another = Envelope("c", "y", "c-1", Ping()).to_bytes()
    damaged = [b"", b"garbage", b"\x96\x01", for_another, for_another[:-1], b"x" * 100_000]
    damaged.append(b"x" * (MAX_ENVELOPE + 1))
    with village.database.write() as connection:
        connection.execute(
            insert(envelopes),
            [
                {"receiver_id": "x", "number": number, "posted_by": "intruder", "data": data}
                for number, data in enumerate(damaged, start=1)
            ],
        )

    client.send("x", Ping())

    assert executor.next().sender_id == "c"
    eventually(lambda: connector.protocol_errors == len(damaged))
    eventually(lambda: village.rows() == 0)
    assert loaded == [b"x" * 100_000, b""], "what is larger than any of ours need not be read"


def test_what_the_database_refuses_for_good_comes_back_and_the_others_go_on(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, client = village.world("x"), village.client("c")
    write = EnvelopeStore.write

    def picky(self: EnvelopeStore, own_id: str, letters: list[Letter], taken: dict[str, int]) -> None:
        if any(b"c-13" in (letter.data or b"") for letter in letters):
            raise PersistenceError("a packet is too large", "other")
        write(self, own_id, letters, taken)

    monkeypatch.setattr(EnvelopeStore, "write", picky)
    for number in range(20):
        client.send("x", Ping(), number)
    envelope, error = client.next_returned()

    assert (envelope.request_id, type(error)) == ("c-13", ConnectorError)
    assert [executor.next().request_id for _ in range(19)] == [f"c-{n}" for n in range(20) if n != 13]


# -- the database goes away ----------------------------------------------------------------------


def test_g25_while_the_database_is_away_nothing_is_lost_and_nothing_comes_back(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent meanwhile and after."""
    executor, client = village.world("x"), village.client("c")
    answered(client, executor, 0)
    failed = []

    def away(*_: object) -> None:
        failed.append(time.monotonic())
        raise PersistenceError("the server cannot be reached", "connection")

    with monkeypatch.context() as outage:
        for name in ("write", "waiting", "not_taken", "withdraw"):
            outage.setattr(EnvelopeStore, name, away)
        for number in range(1, 51):
            client.send("x", Ping(), number)
        eventually(lambda: len(failed) > 5 and failed[-1] - failed[0] > 1.0)
    client.send("x", Ping(), 51)

    assert [executor.next().request_id for _ in range(51)] == [f"c-{number}" for number in range(1, 52)]
    assert client.returned.empty()


def test_after_a_long_outage_what_was_not_sent_comes_back_as_busy(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender asks again later, instead of hearing that nobody is there."""
    monkeypatch.setattr("dynflow_mp.connectors.mailroom._OUTAGE_S", 0.2)
    executor, client = village.world("x"), village.client("c")
    answered(client, executor, 0)

    def away(*_: object) -> None:
        raise PersistenceError("the server cannot be reached", "connection")

    with monkeypatch.context() as outage:
        outage.setattr(EnvelopeStore, "write", away)
        sent = client.send("x", Ping(), 1)
        envelope, error = client.next_returned()

    assert envelope == sent
    assert isinstance(error, PeerBusy)


def test_a_connector_ends_in_time_while_the_database_is_away(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = village.client("c", linger_s=0.5)
    village.here["x"] = True

    def away(*_: object) -> None:
        raise PersistenceError("the server cannot be reached", "connection")

    monkeypatch.setattr(EnvelopeStore, "write", away)
    sent = client.send("x", Ping())
    began = time.monotonic()
    client.connector.stop_listening(client)

    assert time.monotonic() - began < 5
    envelope, error = client.next_returned()
    assert (envelope, type(error)) == (sent, ConnectorError)


# -- looking and being told ----------------------------------------------------------------------


def test_an_idle_world_looks_seldom_and_writes_nothing(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, client = village.world("x", poll_s=0.2), village.client("c", poll_s=0.2)
    answered(client, executor, 0)
    eventually(lambda: village.rows() == 0)
    looks, writes = count_calls(monkeypatch, "waiting"), count_calls(monkeypatch, "write")
    reviews = count_calls(monkeypatch, "not_taken")
    began = time.monotonic()

    eventually(lambda: time.monotonic() - began > 3.0)

    # Of the last second: the time before it goes from quick to slow.
    last = [look for look in looks if look > began + 2.0]
    assert 5 <= len(last) <= 2 * (1.0 / 0.2) + 2
    assert writes == []
    assert len(reviews) <= 2


@on_postgresql
def test_postgresql_tells_of_messages_long_before_it_is_time_to_look(village: Village) -> None:
    executor, client = village.world("x", poll_s=LONG_S), village.client("c", poll_s=LONG_S)
    answered(client, executor, 0)

    times = [answered(client, executor, number) for number in range(1, 11)]

    assert max(times) < LONG_S / 2
    assert sorted(times)[5] < 0.5


@on_postgresql
def test_postgresql_is_not_asked_while_nothing_goes_on(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, client = village.world("x"), village.client("c")
    answered(client, executor, 0)
    eventually(lambda: village.rows() == 0)
    looks = count_calls(monkeypatch, "waiting")
    began = time.monotonic()

    eventually(lambda: time.monotonic() - began > 1.5)

    assert len(looks) <= 4


def listeners(village: Village) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    with village.database.read() as connection:
        return list(connection.execute(text(query)).scalars())


@on_postgresql
def test_messages_come_although_nobody_listens_and_are_told_again_later(village: Village) -> None:
    """Its connection is killed: the world looks by itself until another one stands."""
    executor, client = village.world("x"), village.client("c")
    eventually(lambda: len(listeners(village)) == 2)
    killed = listeners(village)

    with village.database.write() as connection:
        for pid in killed:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    times = [answered(client, executor, number) for number in range(5)]

    assert max(times) < LONG_S / 2
    eventually(lambda: len(set(listeners(village)) - set(killed)) == 2)
    assert answered(client, executor, 9) < LONG_S / 2


@on_postgresql
def test_a_listener_that_hears_nothing_is_not_relied_on(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that lends connections by the transaction: what is told goes elsewhere."""
    monkeypatch.setattr("dynflow_mp.connectors.mailroom._ANNOUNCED_S", 1.0)
    monkeypatch.setattr("dynflow_mp.connectors.listener.channel_of", lambda world_id: f"elsewhere_{world_id}")
    executor, client = village.world("x"), village.client("c")
    eventually(lambda: len(listeners(village)) == 2)
    answered(client, executor, 0)

    times = [answered(client, executor, number) for number in range(1, 6)]

    assert max(times) < 0.9


@on_postgresql
def test_no_transaction_is_open_while_worlds_wait(village: Village) -> None:
    executor, client = village.world("x"), village.client("c")
    answered(client, executor, 0)
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    )

    def seen() -> int:
        with village.database.read() as connection:
            found: int = connection.execute(text(query)).scalar_one()
        return found

    eventually(lambda: [seen() for _ in range(20)] == [0] * 20)


@on_postgresql
def test_the_connection_that_listens_ends_with_its_world(village: Village) -> None:
    client = village.client("c")
    eventually(lambda: len(listeners(village)) == 1)

    client.connector.stop_listening(client)

    eventually(lambda: listeners(village) == [])


def test_an_answer_is_quick_after_a_question_that_took_long(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mailbox that was quiet is looked into at the slow pace, which bounds what a message waits."""
    executor, client = village.world("x", poll_s=0.1), village.client("c", poll_s=0.1)
    client.send("x", Execution("plan"))
    request = executor.next()
    asked = time.monotonic()
    eventually(lambda: time.monotonic() - asked > 1.0)

    executor.answer(request, Done())
    sent = time.monotonic()
    client.next()

    assert time.monotonic() - sent < 1.0


def test_closing_and_opening_again_keeps_the_order(village: Village) -> None:
    """Numbers go on where they were, whatever the clock does."""
    village.here["x"] = True
    client = village.client("c", refresh_s=30)

    def times() -> Callable[[], int]:
        backwards = iter(range(2_000_000_000_000_000, 0, -1_000_000))
        return lambda: next(backwards)

    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("dynflow_mp.connectors.outgoing.now_us", times())
        for number in range(6):
            client.send("x", Ping(), number)
            if number == 2:
                client.connector.stop_listening(client)
                client.connector.start_listening(client)
        eventually(lambda: village.rows() == 6)
    executor = village.world("x")

    assert [executor.next().request_id for _ in range(6)] == [f"c-{number}" for number in range(6)]
