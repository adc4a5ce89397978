"""Who may come in over TCP: worlds of the register, with their own keys, and nobody else."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import psutil
import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from dynflow_mp.connectors import admission
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.connectors.doorkeeper import Doorkeeper
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.connectors.peers import identity_of
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.errors import ConnectorError, DynflowError, PersistenceError, UnknownReceiver
from dynflow_mp.model.messages import Accepted, Envelope, Event, Execution, Ping, Pong

DEADLINE_S = 60.0


def eventually(what: Callable[[], object]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.01)


class World:
    """A world as its connector sees it, which keeps what comes."""

    def __init__(self, world_id: str, takes_work: bool = False) -> None:
        self.world_id, self.takes_work = world_id, takes_work
        self.keys = KeyPair.new()
        self.came: SimpleQueue[Envelope] = SimpleQueue()
        self.returned: SimpleQueue[tuple[Envelope, DynflowError]] = SimpleQueue()

    def receive(self, envelope: Envelope) -> None:
        self.came.put(envelope)

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        self.returned.put((envelope, error))

    def open(self, register: Register, listen: str | None = None) -> None:
        self.connector = ZeroMQConnector(register, listen, refresh_s=0.1, keys=self.keys)
        self.connector.start_listening(self)

    def ask(self, receiver_id: str, number: int = 1) -> None:
        self.connector.send(Envelope(self.world_id, receiver_id, f"{self.world_id}-{number}", Ping()))


class Register:
    """Who is there, and with which key."""

    def __init__(self) -> None:
        self.living: dict[str, str] = {}
        self.endpoints: dict[str, str | None] = {}
        self.asked = 0
        self.broken = False

    def executors(self) -> list[Executor]:
        return [
            Executor(world_id, endpoint, {"default": 2}, self.living.get(world_id))
            for world_id, endpoint in self.endpoints.items()
        ]

    def endpoint(self, world_id: str) -> str | None:
        return self.endpoints.get(world_id)

    def keys(self) -> dict[str, str]:
        self.asked += 1
        if self.broken:
            raise PersistenceError("the database is away")
        return dict(self.living)


class House:
    """One executor that listens over CURVE, and whoever comes."""

    def __init__(self) -> None:
        self.register = Register()
        self.executor = World("x", takes_work=True)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._worlds = [self.executor]
        self._sockets: list[zmq.Socket[bytes]] = []
        self.executor.open(self.register, "tcp://127.0.0.1:*")
        self.register.living["x"] = self.executor.keys.public
        self.register.endpoints["x"] = self.endpoint

    @property
    def endpoint(self) -> str:
        endpoint = self.executor.connector.endpoint
        assert endpoint is not None
        return endpoint

    def client(self, world_id: str, registered: bool = True) -> World:
        world = World(world_id)
        if registered:
            self.register.living[world_id] = world.keys.public
        world.open(self.register)
        self._worlds.append(world)
        return world

    def refused(self, reason: str) -> int:
        return self.executor.connector.refused_connections.get(reason, 0)

    def stranger(
        self, world_id: str, keys: KeyPair | None = None, server_key: str | None = None
    ) -> zmq.Socket[bytes]:
        """A socket that speaks our protocol, with whatever keys; none without ``keys``."""
        stranger = self.context.socket(zmq.DEALER)
        stranger.set(zmq.LINGER, 0)
        stranger.set(zmq.ROUTING_ID, identity_of(world_id))
        if keys is not None:
            stranger.set(zmq.CURVE_SERVERKEY, (server_key or self.executor.keys.public).encode())
            stranger.set(zmq.CURVE_PUBLICKEY, keys.public.encode())
            stranger.set(zmq.CURVE_SECRETKEY, keys.secret.encode())
        stranger.connect(self.endpoint)
        self._sockets.append(stranger)
        return stranger

    def still_serves(self) -> bool:
        client = self.client(f"honest-{len(self._worlds)}")
        client.ask("x")
        heard = self.executor.came.get(timeout=DEADLINE_S)
        self.executor.connector.send(heard.answer("x", Pong()))
        return client.came.get(timeout=DEADLINE_S).message == Pong() and heard.sender_id == client.world_id

    def close(self) -> None:
        for sock in self._sockets:
            sock.close(0)
        self.context.term()
        for world in self._worlds:
            world.connector.stop_listening(world)


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.close()


def test_g38_a_registered_world_asks_and_is_answered(house: House) -> None:
    assert house.still_serves()
    assert house.executor.connector.refused_connections == {}


def test_g38_an_unknown_key_is_refused_and_counted(house: House) -> None:
    stranger = house.client("stranger", registered=False)

    stranger.ask("x")
    _, error = stranger.returned.get(timeout=DEADLINE_S)
    eventually(lambda: house.refused("unknown key"))

    assert isinstance(error, UnknownReceiver)
    assert house.executor.came.empty()
    assert house.still_serves()


def test_g38_a_peer_without_curve_is_refused_and_counted(house: House) -> None:
    house.stranger("c").send(Envelope("c", "x", "c-1", Ping()).to_bytes())

    # Both ends see that they do not agree; the other's end may be the first to go.
    eventually(lambda: house.refused("no CURVE") + house.refused("broken off"))

    assert house.executor.came.empty()
    assert house.still_serves()


def test_g38_a_peer_that_expects_another_server_is_refused_and_counted(house: House) -> None:
    known = house.client("c")

    stranger = house.stranger("c", known.keys, server_key=KeyPair.new().public)
    stranger.send(Envelope("c", "x", "c-1", Ping()).to_bytes())
    eventually(lambda: house.refused("wrong server key"))

    assert house.executor.came.empty()
    assert house.still_serves()


def test_g38_a_client_does_not_speak_to_whoever_has_taken_an_executors_port(house: House) -> None:
    house.register.living["x"] = KeyPair.new().public
    client = house.client("c")

    client.ask("x")
    _, error = client.returned.get(timeout=DEADLINE_S)

    assert isinstance(error, UnknownReceiver)
    assert house.executor.came.empty()


def test_g38_a_dead_worlds_key_lets_nobody_in(house: House) -> None:
    dead = house.client("c")
    del house.register.living["c"]

    dead.ask("x")
    _, error = dead.returned.get(timeout=DEADLINE_S)

    assert isinstance(error, UnknownReceiver)
    assert house.refused("unknown key")
    assert house.executor.came.empty()


def test_g38_a_world_declared_dead_is_not_heard_over_its_open_connection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission.Admission, "refresh_s", 0.2)
    client = house.client("c")
    client.ask("x")
    heard = house.executor.came.get(timeout=DEADLINE_S)

    del house.register.living["c"]

    def refused_now() -> bool:
        client.ask("x", 2)
        return house.executor.connector.protocol_errors > 0

    eventually(refused_now)
    house.executor.connector.send(heard.answer("x", Pong()))

    assert isinstance(house.executor.returned.get(timeout=DEADLINE_S)[1], UnknownReceiver)
    assert client.came.empty()


def test_g38_nobody_speaks_in_the_name_of_another_world(house: House) -> None:
    """The key is of a living world, but not of the one that it says it is."""
    insider, other = house.client("insider"), house.client("other")

    stranger = house.stranger("other", insider.keys)
    stranger.send(Envelope("other", "x", "other-1", Ping()).to_bytes())
    eventually(lambda: house.executor.connector.protocol_errors)

    assert house.executor.came.empty()
    other.ask("x")
    assert house.executor.came.get(timeout=DEADLINE_S).sender_id == "other"


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("other", "x", "other-1", Event("plan", 1, b"")),
        Envelope("insider", "x", "insider-1", Accepted()),
        Envelope("insider", "y", "insider-1", Ping()),
    ],
    ids=["another's name", "an answer", "another's mail"],
)
def test_g38_an_envelope_that_is_not_its_connections_is_refused(house: House, envelope: Envelope) -> None:
    insider = house.client("insider")
    stranger = house.stranger("insider", insider.keys)

    stranger.send(envelope.to_bytes())
    eventually(lambda: house.executor.connector.protocol_errors)

    assert house.executor.came.empty()
    assert house.still_serves()


def test_an_executor_that_leaves_hands_a_plan_on_in_its_clients_name(house: House) -> None:
    leaving = house.client("leaving")

    leaving.connector.send(Envelope("c", "x", "c-1", Execution("plan")))

    assert house.executor.came.get(timeout=DEADLINE_S).sender_id == "c"


def test_strangers_cannot_have_the_register_read_all_the_time(house: House) -> None:
    strangers = [house.client(f"stranger-{number}", registered=False) for number in range(5)]
    asked, began = house.register.asked, time.monotonic()

    def refused_often() -> bool:
        for stranger in strangers:
            stranger.ask("x")
        return house.refused("unknown key") + house.refused("register not read") > 30

    eventually(refused_often)

    assert house.register.asked - asked <= 6 + (time.monotonic() - began) * (
        admission.READINGS_A_SECOND + 1 / admission.REFRESH_S
    )
    assert house.still_serves()


def test_a_world_that_came_before_its_key_could_be_read_is_let_in_later(house: House) -> None:
    early = house.client("early", registered=False)
    early.ask("x")
    eventually(lambda: house.refused("unknown key"))

    house.register.living["early"] = early.keys.public

    def heard() -> bool:
        early.ask("x", 2)
        return not house.executor.came.empty()

    eventually(heard)


def test_a_register_that_cannot_be_read_keeps_the_known_and_lets_nobody_new_in(house: House) -> None:
    known = house.client("c")
    known.ask("x")
    house.executor.came.get(timeout=DEADLINE_S)

    house.register.broken = True
    newcomer = house.client("d")
    newcomer.ask("x")
    newcomer.returned.get(timeout=DEADLINE_S)
    known.ask("x", 2)

    assert house.executor.came.get(timeout=DEADLINE_S).request_id == "c-2"


def test_several_worlds_may_share_a_key_from_a_file(house: House) -> None:
    first, second = house.client("c"), World("d")
    second.keys = first.keys
    house.register.living["d"] = first.keys.public
    second.open(house.register)

    first.ask("x")
    second.ask("x")
    heard = {house.executor.came.get(timeout=DEADLINE_S).sender_id for _ in range(2)}
    second.connector.stop_listening(second)

    assert heard == {"c", "d"}


NOISE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    bytes.fromhex("16030100f1010000ed0303") + bytes(range(200)),
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01CURVE" + bytes(15) + b"\x01" + bytes(31),
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01CURVE" + bytes(15) + b"\x00" + bytes(31)
    + b"\x06\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(100),
    b"",
]  # fmt: skip


def test_g39_garbage_on_the_port_costs_neither_the_world_nor_its_memory(house: House) -> None:
    """HTTP, TLS, SSH, half of our own handshake, a frame of 2^64 bytes, silence, chance."""
    assert house.still_serves()
    host, _, port = house.endpoint.removeprefix("tcp://").rpartition(":")
    process = psutil.Process()
    before, begun = process.memory_info().rss, 0

    ends = time.monotonic() + 2.0
    while time.monotonic() < ends:
        for noise in (*NOISE, os.urandom(300)):
            try:
                with socket.create_connection((host, int(port)), timeout=5) as raw:
                    raw.sendall(noise)
            except OSError:
                continue  # thrown out before it was done
            begun += 1

    assert begun > 200
    assert house.still_serves()
    assert process.memory_info().rss - before < 64 * 1024 * 1024
    assert sum(house.executor.connector.refused_connections.values()) > 0


def test_connections_that_come_while_nobody_answers_for_them_stay_out() -> None:
    """As at a world's end: without a word on them, libzmq would let everybody in."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keys, house_keys = KeyPair.new(), KeyPair.new()
    router = context.socket(zmq.ROUTER)
    doorkeeper = Doorkeeper(
        context, house_keys, admission.Admission(lambda: {"c": keys.public}, time.monotonic)
    )
    doorkeeper.guard(router)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    doorkeeper.stop(router)
    caller = context.socket(zmq.DEALER)
    caller.set(zmq.LINGER, 0)
    caller.set(zmq.HANDSHAKE_IVL, 500)
    caller.set(zmq.CURVE_SERVERKEY, house_keys.public.encode())
    caller.set(zmq.CURVE_PUBLICKEY, keys.public.encode())
    caller.set(zmq.CURVE_SECRETKEY, keys.secret.encode())
    ends = int(zmq.EVENT_DISCONNECTED) | int(zmq.EVENT_CONNECT_RETRIED)
    events = caller.get_monitor_socket(ends | int(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    caller.connect(f"tcp://127.0.0.1:{port}")

    assert events.poll(DEADLINE_S * 1000)
    assert recv_monitor_message(events)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED
    assert not router.poll(0)
    caller.disable_monitor()
    events.close(0)
    caller.close(0)
    router.close(0)
    context.term()


def test_listening_everywhere_needs_to_say_where_others_reach_it() -> None:
    world = World("x", takes_work=True)

    with pytest.raises(ConnectorError, match="advertise_host"):
        world.open(Register(), "tcp://0.0.0.0:*")


def test_without_curve_in_the_library_tcp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("x", takes_work=True)
    monkeypatch.setattr(zmq, "has", lambda capability: capability != "curve")

    with pytest.raises(ConnectorError, match="built without CURVE"):
        world.open(Register(), "tcp://127.0.0.1:*")


def test_an_old_library_is_refused_on_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("x", takes_work=True)
    monkeypatch.setattr(zmq, "zmq_version_info", lambda: (4, 3, 4))

    with pytest.raises(ConnectorError, match=r"4\.3\.5 is needed"):
        world.open(Register(), "tcp://127.0.0.1:*")


def test_nothing_is_left_of_a_doorkeeper_whose_world_could_not_listen(house: House) -> None:
    world = World("y", takes_work=True)
    with pytest.raises(ConnectorError, match="cannot be listened on"):
        world.open(house.register, house.endpoint)

    eventually(lambda: sum(one.name == "dynflow doorkeeper" for one in threading.enumerate()) == 1)
    with pytest.raises(Empty):
        world.came.get_nowait()
