"""What every connector must do, checked on each of them with the same words."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import pytest
import zmq
from databases import KINDS

from dynflow_mp.connectors.connector import Connector, Executor
from dynflow_mp.connectors.database import DatabaseConnector
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.connectors.endpoints import remove_abandoned
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.connectors.peers import Route
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.errors import (
    ConnectorError,
    DataError,
    DynflowError,
    NoExecutor,
    PersistenceError,
    UnknownReceiver,
)
from dynflow_mp.model import messages
from dynflow_mp.model.messages import (
    ANY_EXECUTOR,
    Accepted,
    Done,
    Drain,
    Envelope,
    Event,
    Execution,
    Message,
    Ping,
    Pong,
    Status,
    Workers,
    WorkersTold,
)
from dynflow_mp.persistence.database import Database

DEADLINE_S = 10.0


def eventually(what: Callable[[], object]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.005)


class World:
    """A world as its connector sees it, which keeps what comes."""

    def __init__(self, world_id: str, takes_work: bool, connector: Connector) -> None:
        self.world_id, self.takes_work, self.connector = world_id, takes_work, connector
        self.came: SimpleQueue[Envelope] = SimpleQueue()
        self.returned: SimpleQueue[tuple[Envelope, DynflowError]] = SimpleQueue()
        self.on_receive: Callable[[Envelope], None] | None = None

    def receive(self, envelope: Envelope) -> None:
        if self.on_receive is not None:
            self.on_receive(envelope)
        self.came.put(envelope)

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        self.returned.put((envelope, error))

    def send(self, receiver_id: str, message: Message, number: int = 1) -> Envelope:
        envelope = Envelope(self.world_id, receiver_id, f"{self.world_id}-{number}", message)
        self.connector.send(envelope)
        return envelope

    def answer(self, envelope: Envelope, message: Message) -> None:
        self.connector.send(envelope.answer(self.world_id, message))  # type: ignore[arg-type]  # a response

    def next(self) -> Envelope:
        return self.came.get(timeout=DEADLINE_S)

    def next_returned(self) -> tuple[Envelope, DynflowError]:
        return self.returned.get(timeout=DEADLINE_S)


class House:
    """Worlds that can reach each other, and the directory they share."""

    def __init__(self, kind: str, database_url: str = "") -> None:
        self.kind, self.database_url = kind, database_url
        self.listed: list[Executor] = []
        self.asked = 0
        self.broken = False
        self._keys: dict[str, str] = {}
        self._worlds: list[World] = []
        self._databases: list[Database] = []
        self._shared = DirectConnector()

    # -- the directory -----------------------------------------------------------------------------

    def executors(self) -> list[Executor]:
        self.asked += 1
        if self.broken:
            raise PersistenceError("the database is away")
        return list(self.listed)

    def endpoint(self, world_id: str) -> str | None:
        listed = next((one.endpoint for one in self.listed if one.world_id == world_id), None)
        if listed is None and self.kind == "database":  # there, every world's record tells where it is
            return next((one.connector.endpoint for one in self._worlds if one.world_id == world_id), None)
        return listed

    def keys(self) -> dict[str, str]:
        return dict(self._keys)

    # -- worlds ------------------------------------------------------------------------------------

    def executor(self, world_id: str, free: int = 2) -> World:
        world = self._world(world_id, True)
        key = world.connector.public_key
        self.listed.append(Executor(world_id, world.connector.endpoint, {"default": free}, key))
        return world

    def client(self, world_id: str) -> World:
        return self._world(world_id, False)

    def _world(self, world_id: str, takes_work: bool) -> World:
        world = World(world_id, takes_work, self.connector())
        if world.connector.public_key is not None:
            self._keys[world_id] = world.connector.public_key
        world.connector.start_listening(world)
        self._worlds.append(world)
        return world

    def connector(self) -> Connector:
        if self.kind == "direct":
            return self._shared
        if self.kind == "database":
            self._databases.append(Database(self.database_url))  # as if each were a process
            return DatabaseConnector(self._databases[-1], self, refresh_s=0.1)
        listen = None if self.kind == "zeromq-ipc" else "tcp://127.0.0.1:*"
        keys = KeyPair.new() if self.kind == "zeromq-curve" else None
        return ZeroMQConnector(self, listen, refresh_s=0.1, keys=keys)

    def leave(self, world: World) -> None:
        """The world stops listening and is no longer listed."""
        self.listed = [one for one in self.listed if one.world_id != world.world_id]
        world.connector.stop_listening(world)

    def close(self) -> None:
        for world in self._worlds:
            world.connector.stop_listening(world)
        for database in self._databases:
            database.close()


@pytest.fixture(params=["direct", "zeromq-ipc", "zeromq-curve", *(f"database-{kind}" for kind in KINDS)])
def house(
    request: pytest.FixtureRequest, database_without_envelopes: Callable[[str], str]
) -> Iterator[House]:
    kind, _, database_kind = request.param.partition("-")
    house = (
        House(kind, database_without_envelopes(database_kind)) if kind == "database" else House(request.param)
    )
    yield house
    house.close()


def sent_to_any(client: World, number: int) -> None:
    client.send(ANY_EXECUTOR, Execution(f"plan-{number}"), number)


# -- delivery ------------------------------------------------------------------------------------


def test_a_request_arrives_and_its_answer_comes_back(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")

    sent = client.send("x", Ping())
    heard = executor.next()
    executor.answer(heard, Pong())

    assert heard == sent
    assert client.next() == Envelope("x", "c", sent.request_id, Pong())


@pytest.mark.parametrize(
    ("question", "answer"),
    [(Workers(), WorkersTold({"workers": [{"id": f"w{n}"} for n in range(500)]})), (Drain(), Done())],
    ids=["Workers", "Drain"],
)
def test_questions_about_workers_and_ends_come_and_go(
    house: House, question: Message, answer: Message
) -> None:
    executor, client = house.executor("x"), house.client("c")

    client.send("x", question)
    heard = executor.next()
    executor.answer(heard, answer)

    assert heard.message == question
    assert client.next().message == answer


class Wonder(NamedTuple):
    """What a newer version may ask, and this one does not know."""

    about: str


def test_a_request_of_a_kind_that_nobody_knows_is_lost_and_what_comes_after_it_is_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sent it gives up after a while; nothing stands in anybody's way meanwhile."""
    monkeypatch.setattr(messages, "REQUESTS", (*messages.REQUESTS, Wonder))
    executor, client = house.executor("x"), house.client("c")
    client.send("x", Ping(), 1)
    executor.answer(executor.next(), Pong())
    client.next()

    client.send("x", Wonder("the weather"), 2)  # type: ignore[arg-type]  # of a kind that is none
    client.send("x", Ping(), 3)

    assert executor.next().request_id == "c-3"
    assert executor.came.empty()


def test_any_executor_is_one_executor(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")

    client.send(ANY_EXECUTOR, Execution("plan", "default"))

    assert executor.next() == Envelope("c", "x", "c-1", Execution("plan", "default"))


def test_what_is_sent_at_once_after_the_start_arrives(house: House) -> None:
    executor = house.executor("x")

    for number in range(5):
        client = house.client(f"c{number}")
        client.send(ANY_EXECUTOR, Execution("plan"))

        assert executor.next().sender_id == f"c{number}"


def test_a_world_reaches_itself(house: House) -> None:
    executor = house.executor("x")

    executor.send(ANY_EXECUTOR, Execution("plan"))
    heard = executor.next()
    executor.answer(heard, Accepted())

    assert heard == Envelope("x", "x", "x-1", Execution("plan"))
    assert executor.next() == Envelope("x", "x", "x-1", Accepted())


def test_executors_reach_each_other(house: House) -> None:
    first, second = house.executor("x"), house.executor("y")

    first.send("y", Ping())
    second.answer(second.next(), Pong())

    assert first.next().message == Pong()


def test_a_successor_the_client_never_asked_can_answer(house: House) -> None:
    """The client's future survives a hand-over, since it is connected to every executor."""
    first, client = house.executor("x"), house.client("c")
    client.send(ANY_EXECUTOR, Execution("plan"))
    heard = first.next()
    successor = house.executor("y")

    def answered() -> bool:
        successor.answer(heard, Done())
        return not client.came.empty()

    eventually(answered)

    assert client.next() == Envelope("y", "c", "c-1", Done())


def test_a_plan_handed_over_is_asked_for_in_the_clients_name(house: House) -> None:
    leaving, successor, client = house.executor("x", free=9), house.executor("y", free=0), house.client("c")
    client.send("x", Execution("plan"))
    request = leaving.next()

    leaving.connector.send(request._replace(receiver_id=ANY_EXECUTOR))
    leaving.connector.stop_receiving_new_work(leaving)
    if house.kind == "direct":  # one connector for all: x took work until now
        leaving.connector.send(leaving.next()._replace(receiver_id=ANY_EXECUTOR))

    handed_over = successor.next()
    successor.answer(handed_over, Done())

    assert handed_over.sender_id == "c"
    assert client.next() == Envelope("y", "c", "c-1", Done())


def test_messages_between_two_worlds_keep_their_order(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")

    for number in range(2000):
        client.send("x", Ping(), number)

    assert [executor.next().request_id for _ in range(2000)] == [f"c-{number}" for number in range(2000)]


def test_ten_thousand_messages_go_both_ways_and_none_is_lost(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")
    connected(client, executor)
    executor.on_receive = lambda envelope: executor.answer(envelope, Done())

    for number in range(10_000):
        client.send("x", Execution("plan"), number)
    answers = [client.next().request_id for _ in range(10_000)]

    assert answers == [f"c-{number}" for number in range(10_000)]
    assert client.returned.empty()
    assert executor.returned.empty()


def test_a_large_envelope_arrives_whole(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")
    data = os.urandom(5 * 1024 * 1024)

    client.send("x", Event("plan", 1, data))
    client.send("x", Ping(), 2)

    assert executor.next().message == Event("plan", 1, data)
    assert executor.next().message == Ping()


def test_an_envelope_that_is_too_large_comes_back(house: House) -> None:
    house.executor("x")
    client = house.client("c")

    sent = client.send("x", Event("plan", 1, b"x" * 9 * 1024 * 1024))
    envelope, error = client.next_returned()

    assert envelope == sent
    assert isinstance(error, DataError)


def test_a_receiver_that_fails_goes_on_receiving(house: House, caplog: pytest.LogCaptureFixture) -> None:
    executor, client = house.executor("x"), house.client("c")

    def fail_once(envelope: Envelope) -> None:
        executor.on_receive = None
        raise ValueError("a bad day")

    executor.on_receive = fail_once
    client.send("x", Ping(), 1)
    client.send("x", Ping(), 2)

    assert executor.next().request_id == "c-2"
    assert "could not be delivered" in caplog.text


# -- who gets it ---------------------------------------------------------------------------------


def test_equal_executors_take_turns(house: House) -> None:
    executors = [house.executor(name) for name in ("x", "y", "z")]
    client = house.client("c")
    connected(client, *executors)

    for number in range(9):
        sent_to_any(client, number)
    eventually(lambda: sum(world.came.qsize() for world in executors) == 9)

    assert [world.came.qsize() for world in executors] == [3, 3, 3]


def test_an_executor_that_has_answered_has_room_again(house: House) -> None:
    quick, slow, client = house.executor("x"), house.executor("y"), house.client("c")
    connected(client, quick, slow)
    quick.on_receive = lambda envelope: quick.answer(envelope, Done())

    def taken(number: int) -> bool:
        return quick.came.qsize() + slow.came.qsize() == number

    for number in range(20):
        sent_to_any(client, number)
        eventually(partial(taken, number + 1))
        eventually(lambda: client.came.qsize() == quick.came.qsize())

    assert quick.came.qsize() > 2 * slow.came.qsize() > 0


def test_a_request_settled_another_way_makes_room_too(house: House) -> None:
    first, second, client = house.executor("x"), house.executor("y"), house.client("c")
    connected(client, first, second)
    for number in range(2):
        sent_to_any(client, number)
    eventually(lambda: first.came.qsize() == second.came.qsize() == 1)
    settled = first.next().request_id

    client.connector.settled(settled)
    sent_to_any(client, 7)

    assert first.next().request_id == "c-7"


def test_without_an_executor_a_request_comes_back(house: House) -> None:
    client = house.client("c")

    sent = client.send(ANY_EXECUTOR, Execution("plan"))
    envelope, error = client.next_returned()

    assert envelope == sent
    assert isinstance(error, NoExecutor)
    assert error.plan_id == "plan"


def test_an_executor_that_appears_later_is_found(house: House) -> None:
    client = house.client("c")
    client.send(ANY_EXECUTOR, Execution("plan"))
    client.next_returned()
    executor = house.executor("x")

    def taken() -> bool:
        client.send(ANY_EXECUTOR, Execution("plan"))
        return not executor.came.empty()

    eventually(taken)


def test_a_world_nobody_knows_cannot_be_asked(house: House) -> None:
    client = house.client("c")

    for number in range(3):
        client.send("nobody", Ping(), number)
        envelope, error = client.next_returned()

        assert envelope.request_id == f"c-{number}"
        assert isinstance(error, UnknownReceiver)


def test_a_world_nobody_knows_cannot_be_answered(house: House) -> None:
    executor = house.executor("x")

    executor.answer(Envelope("nobody", "x", "nobody-1", Ping()), Pong())
    _, error = executor.next_returned()

    assert isinstance(error, UnknownReceiver)


# -- the end -------------------------------------------------------------------------------------


def test_an_executor_that_stops_receiving_new_work_is_still_asked_by_name(house: House) -> None:
    leaving, staying, client = house.executor("x"), house.executor("y"), house.client("c")
    connected(client, leaving, staying)

    house.listed = [one for one in house.listed if one.world_id != "x"]
    leaving.connector.stop_receiving_new_work(leaving)
    eventually(lambda: goes_to(client, staying))
    for number in range(4):
        sent_to_any(client, number)
    client.send("x", Status(), 99)
    from_client = [staying.next() for _ in range(4)]

    assert [envelope.request_id for envelope in from_client] == [f"c-{number}" for number in range(4)]
    eventually(lambda: not leaving.came.empty() and leaving.next().message == Status())


def test_an_executor_that_stops_receiving_new_work_does_not_choose_itself(house: House) -> None:
    executor = house.executor("x")

    executor.connector.stop_receiving_new_work(executor)
    executor.send(ANY_EXECUTOR, Execution("plan"))
    _, error = executor.next_returned()

    assert isinstance(error, NoExecutor)


def test_answers_sent_before_the_end_arrive(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")
    client.send("x", Ping())
    request = executor.next()

    for _ in range(1000):
        executor.answer(request, Done())
    house.leave(executor)

    assert len([client.next() for _ in range(1000)]) == 1000


def test_answers_arrive_before_the_end_when_the_connection_is_full(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand answers may just fill it: then the farewell behind them has to wait for room."""
    executor, client = house.executor("x"), house.client("c")
    client.send("x", Ping())
    request = executor.next()
    refused = iter(range(20))
    push = Route.push

    def push_when_there_is_room(self: Route, data: bytes) -> None:
        if not data and next(refused, None) is not None:
            raise zmq.Again
        push(self, data)

    monkeypatch.setattr(Route, "push", push_when_there_is_room)
    for _ in range(1000):
        executor.answer(request, Done())
    house.leave(executor)

    assert len([client.next() for _ in range(1000)]) == 1000


def test_after_the_end_nothing_arrives(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")
    connected(client, executor)

    house.leave(executor)
    client.send("x", Ping(), 5)
    _, error = client.next_returned()

    assert isinstance(error, (NoExecutor, UnknownReceiver))
    assert executor.came.empty()


def test_starting_and_stopping_twice_is_fine(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")

    client.connector.start_listening(client)
    client.connector.stop_listening(client)
    client.connector.stop_listening(client)
    client.connector.start_listening(client)
    client.send("x", Ping())

    assert executor.next().sender_id == "c"


def test_sending_after_the_end_does_no_harm(house: House) -> None:
    client = house.client("c")

    client.connector.stop_listening(client)

    client.send("x", Ping())
    client.connector.stop_receiving_new_work(client)
    client.connector.settled("c-1")


def test_a_receiver_may_stop_its_own_connector(house: House) -> None:
    executor, client = house.executor("x"), house.client("c")
    stopped = threading.Event()

    def stop(envelope: Envelope) -> None:
        executor.connector.stop_listening(executor)
        stopped.set()

    executor.on_receive = stop
    client.send("x", Ping())

    assert stopped.wait(DEADLINE_S)


def connected(client: World, *executors: World) -> None:
    """Have the client's connections stand before turns are counted.

    On a busy machine connecting may take longer than a request waits for it: then it comes back.
    """
    for executor in executors:

        def heard(executor: World = executor) -> bool:
            client.send(executor.world_id, Ping(), 0)
            eventually(lambda: not executor.came.empty() or not client.returned.empty())
            if executor.came.empty():
                client.next_returned()
                return False
            return executor.next().message == Ping()

        eventually(heard)


def goes_to(client: World, executor: World) -> bool:
    """Whether what any executor may take goes there now, nowhere else."""
    client.send(ANY_EXECUTOR, Ping(), 12345)
    client.send(ANY_EXECUTOR, Ping(), 12345)
    try:
        return all(executor.came.get(timeout=0.1) for _ in range(2))
    except Empty:
        return False


# -- only over a wire ----------------------------------------------------------------------------


@pytest.fixture(params=["zeromq-ipc", "zeromq-tcp"])
def wire(request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(request.param)
    yield house
    house.close()


def endpoint_of(world: World) -> str:
    assert world.connector.endpoint is not None
    return world.connector.endpoint


@pytest.mark.parametrize(
    "garbage",
    [
        [b"garbage"],
        [b"\x96\x01"],
        [b"a", b"b", b"c"],
        [b"x" * 1_000_000],
        [Envelope("c", "x", "c-1", Ping()).to_bytes()[:-1]],
        [Envelope("c", "another world", "c-1", Ping()).to_bytes()],
    ],
)
def test_garbage_is_counted_and_changes_nothing(wire: House, garbage: list[bytes]) -> None:
    executor, client = wire.executor("x"), wire.client("c")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        for identity in (b"intruder~0123456789abcdef", b"unnamed"):
            with context.socket(zmq.DEALER) as socket:
                socket.set(zmq.ROUTING_ID, identity)
                socket.connect(endpoint_of(executor))
                socket.send_multipart(garbage)
                socket.close(1000)
    finally:
        context.term()
    connector = executor.connector
    assert isinstance(connector, ZeroMQConnector)

    eventually(lambda: connector.protocol_errors >= 2)
    client.send("x", Ping())

    assert executor.next().sender_id == "c"


def test_a_peer_that_sends_only_garbage_is_not_listened_to_any_more(wire: House) -> None:
    executor = wire.executor("x")
    connector = executor.connector
    assert isinstance(connector, ZeroMQConnector)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.DEALER) as socket:
        socket.set(zmq.ROUTING_ID, b"c~0123456789abcdef")
        socket.connect(endpoint_of(executor))
        for _ in range(100):
            socket.send(b"garbage")
        socket.send(Envelope("c", "x", "c-1", Ping()).to_bytes())
        socket.close(1000)
    context.term()

    eventually(lambda: connector.protocol_errors >= 10)
    wire.client("d").send("x", Ping())

    assert executor.next().sender_id == "d"
    assert connector.protocol_errors == 10


def test_other_protocols_on_the_port_do_no_harm(wire: House) -> None:
    executor = wire.executor("x")
    transport, _, address = endpoint_of(executor).partition("://")
    import socket

    for noise in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(500), b""):
        family = socket.AF_UNIX if transport == "ipc" else socket.AF_INET
        with socket.socket(family) as raw:
            host, _, port = address.rpartition(":")
            raw.connect(address if transport == "ipc" else (host, int(port)))
            raw.sendall(noise)
    wire.client("c").send("x", Ping())

    assert executor.next().sender_id == "c"


_EXECUTOR_PROCESS = """
import sys, threading
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.model.messages import Accepted

class Executor:
    world_id, takes_work = "dying", True
    def receive(self, envelope):
        connector.send(envelope.answer(self.world_id, Accepted()))
    def undeliverable(self, envelope, error):
        pass

connector = ZeroMQConnector(None, sys.argv[1] or None)
connector.start_listening(Executor())
print(connector.endpoint, flush=True)
sys.stdin.read()
"""


def test_a_peer_that_was_killed_is_passed_over(wire: House) -> None:
    staying, client = wire.executor("x", free=0), wire.client("c")
    listen = "tcp://127.0.0.1:*" if wire.kind == "zeromq-tcp" else ""
    with subprocess.Popen(
        [sys.executable, "-c", _EXECUTOR_PROCESS, listen],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        wire.listed.append(Executor("dying", process.stdout.readline().strip(), {"default": 9}))
        connected(client, staying)
        client.send("dying", Ping(), 1)
        assert client.next().sender_id == "dying"

        process.kill()
        process.wait(DEADLINE_S)
    client.send("dying", Ping(), 2)
    _, error = client.next_returned()
    sent_to_any(client, 3)

    assert isinstance(error, UnknownReceiver)
    assert staying.next().request_id == "c-3"


def test_an_asker_is_known_again_after_the_executor_came_back(tmp_path: Path) -> None:
    """libzmq connects again by itself, and introduces itself again."""
    house = House("zeromq-ipc")
    client = house.client("c")
    connector = ZeroMQConnector(house, f"ipc://{tmp_path}/x", refresh_s=0.1)
    executor = World("x", True, connector)
    connector.start_listening(executor)
    house.listed.append(Executor("x", connector.endpoint, {"default": 2}))
    eventually(lambda: goes_to(client, executor))

    connector.stop_listening(executor)
    connector.start_listening(executor)

    def answered() -> bool:
        executor.answer(Envelope("c", "x", "c-7", Execution("plan")), Done())
        return not client.came.empty()

    eventually(answered)
    connector.stop_listening(executor)
    house.close()


def test_an_answer_waits_for_an_asker_that_has_not_found_the_executor_yet(wire: House) -> None:
    """A successor answers for plans it took over as it started: their clients look for it once a second."""
    executor, settled = wire.executor("x"), Envelope("c", "dead", "c-1", Execution("plan"))
    listed, wire.listed = wire.listed, []
    client = wire.client("c")
    client.send(ANY_EXECUTOR, Execution("another"), 2)
    client.next_returned()

    executor.answer(settled, Done())
    executor.answer(settled, Done())
    wire.listed = listed

    def found_by_asking() -> bool:
        client.send(ANY_EXECUTOR, Execution("another"), 3)
        return client.came.qsize() == 2

    eventually(found_by_asking)
    assert [client.next().request_id for _ in range(2)] == ["c-1", "c-1"]


def test_a_directory_that_fails_leaves_the_last_known(wire: House, caplog: pytest.LogCaptureFixture) -> None:
    executor, client = wire.executor("x"), wire.client("c")
    connected(client, executor)
    sent_to_any(client, 1)
    executor.next()

    wire.broken = True
    asked = wire.asked
    eventually(lambda: wire.asked > asked)
    sent_to_any(client, 2)

    assert executor.next().request_id == "c-2"
    assert "directory could not be read" in caplog.text


def test_the_directory_is_not_asked_for_every_request(wire: House) -> None:
    executor, client = wire.executor("x"), wire.client("c")
    connected(client, executor)
    began, asked = time.monotonic(), wire.asked

    for number in range(1000):
        sent_to_any(client, number)
    for _ in range(1000):
        executor.next()

    assert wire.asked - asked <= 2 + (time.monotonic() - began) / 0.1


# -- where a world listens -----------------------------------------------------------------------


def listening(listen: str | None) -> tuple[ZeroMQConnector, World]:
    connector = ZeroMQConnector(House("zeromq-ipc"), listen)
    world = World("x", True, connector)
    connector.start_listening(world)
    return connector, world


def test_a_port_in_use_is_refused_by_name() -> None:
    connector, world = listening("tcp://127.0.0.1:*")
    endpoint = endpoint_of(world)

    with pytest.raises(ConnectorError, match=endpoint):
        listening(endpoint)

    connector.stop_listening(world)


def test_a_path_in_use_is_refused_and_not_stolen(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/world"
    connector, world = listening(endpoint)

    with pytest.raises(ConnectorError, match=f"{tmp_path}/world is in use by process {os.getpid()}"):
        listening(endpoint)

    connector.stop_listening(world)
    assert list(tmp_path.iterdir()) == []


def test_a_path_left_behind_by_a_killed_world_is_taken_again(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/world"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(f"{tmp_path}/world")
    (tmp_path / "world.lock").write_text("1\n")

    connector, world = listening(endpoint)

    assert connector.endpoint == endpoint
    connector.stop_listening(world)


def test_a_private_directory_is_private_and_goes_with_its_world() -> None:
    connector, world = listening(None)
    path = Path(endpoint_of(world).removeprefix("ipc://"))

    modes = [oct(place.stat().st_mode & 0o777) for place in (path.parent, path)]
    connector.stop_listening(world)

    assert modes == ["0o700", "0o600"]
    assert not path.parent.exists()


def test_only_the_directories_of_killed_worlds_are_removed(tmp_path: Path) -> None:
    long_ago = time.time() - 3600
    for name in ("abandoned", "just made", "in use"):
        (tmp_path / f"dynflow-{name}").mkdir()
        (tmp_path / f"dynflow-{name}" / "world.lock").touch()
    held = os.open(tmp_path / "dynflow-in use" / "world.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    for name in ("abandoned", "in use"):
        os.utime(tmp_path / f"dynflow-{name}" / "world.lock", (long_ago, long_ago))

    remove_abandoned(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["dynflow-in use", "dynflow-just made"]
    os.close(held)


def test_only_loopback_addresses_are_listened_on() -> None:
    with pytest.raises(ConnectorError, match="refused without CURVE"):
        listening("tcp://0.0.0.0:*")


def test_no_thread_stays_when_listening_failed() -> None:
    before = threading.active_count()
    connector, world = listening("tcp://127.0.0.1:*")

    with pytest.raises(ConnectorError):
        listening(endpoint_of(world))
    connector.stop_listening(world)

    # Threads of earlier tests may be ending meanwhile.
    eventually(lambda: threading.active_count() <= before)
