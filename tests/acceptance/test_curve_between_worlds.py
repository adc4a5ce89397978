"""Two worlds that talk over an address others can reach: the right keys come in, nobody else does."""

import os
import socket
import subprocess
import sys

import psutil
import pytest
import zmq
from engine_actions import Noop
from watching import Supervisor, wait_until

from dynflow_mp import World
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.connectors.peers import identity_of
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import ConfigError, ConnectorError, NoExecutor
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution


def own_address():
    """An address of this machine that others may reach."""
    for name, addresses in psutil.net_if_addrs().items():
        for found in addresses:
            up = psutil.net_if_stats().get(name)
            if found.family == socket.AF_INET and not found.address.startswith("127.") and up and up.isup:
                return found.address
    return pytest.skip("this machine has no address beyond loopback")


@pytest.fixture
def executor(database_url):
    world = World(
        database_url=database_url, workers=1, apps=["engine_actions"], listen=f"tcp://{own_address()}:*"
    )
    yield world
    world.terminate().result(60)


class Intruder:
    """Speaks our protocol to an executor, with whatever keys."""

    def __init__(self, executor):
        self.record = next(one for one in executor.coordinator.find_worlds(id=executor.id))
        self.context, self.sockets = zmq.Context(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close(0)
        self.context.term()

    def say(self, plan_id, name, keys=None, server_key=None, receiver_id=None):
        intruder = self.context.socket(zmq.DEALER)
        self.sockets.append(intruder)
        intruder.set(zmq.ROUTING_ID, identity_of(name))
        if keys is not None:
            intruder.set(zmq.CURVE_SERVERKEY, (server_key or self.record.meta["curve_key"]).encode())
            intruder.set(zmq.CURVE_PUBLICKEY, keys.public.encode())
            intruder.set(zmq.CURVE_SECRETKEY, keys.secret.encode())
        intruder.connect(self.record.meta["endpoint"])
        intruder.send(
            Envelope(name, receiver_id or self.record.id, f"{name}-1", Execution(plan_id)).to_bytes()
        )


def test_g38_worlds_of_one_database_find_and_trust_each_other(executor, a_client):
    client = a_client()

    plan = client.trigger(Noop).finished.result(60)

    assert plan.state == "stopped"
    assert plan.result == "success"
    assert executor.connector.endpoint.startswith("tcp://")
    assert executor.connector.refused_connections == {}


def test_g38_nobody_else_comes_in_and_everybody_is_counted(executor, a_client):
    """Unknown key, no CURVE, another server's key, a dead world's key, another world's name."""
    client, other, dead = a_client(), a_client(), KeyPair.new()
    plan = client.plan(Noop)
    executor.coordinator.register_world(WorldRecord("was-here", False, meta={"curve_key": dead.public}))
    executor.coordinator.set_world_state("was-here", "dead")
    door = executor.connector

    with Intruder(executor) as intruder:
        intruder.say(plan.id, "stranger", KeyPair.new())
        wait_until(lambda: door.refused_connections.get("unknown key"), 60, "refusing an unknown key")
        intruder.say(plan.id, client.id)
        wait_until(
            lambda: {"no CURVE", "broken off"} & set(door.refused_connections), 60, "refusing plain text"
        )
        intruder.say(plan.id, client.id, client.connector._keys, server_key=KeyPair.new().public)
        wait_until(lambda: door.refused_connections.get("wrong server key"), 60, "refusing another's key")
        intruder.say(plan.id, "was-here", dead)
        wait_until(lambda: door.refused_connections["unknown key"] >= 2, 60, "refusing a dead world's key")
        intruder.say(plan.id, client.id, other.connector._keys)
        wait_until(lambda: door.protocol_errors, 60, "refusing another's name")

    assert executor.persistence.load_execution_plan(plan.id).state == "planned"
    assert client.trigger(Noop).finished.result(60).result == "success"


def test_g38_a_key_that_is_not_among_the_trusted_ones_stays_out(database_url, tmp_path, a_client):
    """Who can write the database can register a world, but not make its key one of the trusted."""
    (tmp_path / "keys").mkdir(mode=0o700)
    ours, theirs = tmp_path / "keys" / "executor", tmp_path / "keys" / "client"
    for path in (ours, theirs):
        KeyPair.new().write(path)
    trusted = tmp_path / "trusted"
    trusted.write_text("".join(f"{KeyPair.from_file(path).public}\n" for path in (ours, theirs)))
    keys = {"curve_trusted_keys_file": str(trusted)}

    with World(
        database_url=database_url,
        workers=1,
        apps=["engine_actions"],
        listen=f"tcp://{own_address()}:*",
        curve_key_file=str(ours),
        **keys,
    ):
        known = a_client(curve_key_file=str(theirs), **keys)
        assert known.trigger(Noop).finished.result(60).result == "success"

        unknown = a_client(no_executor_timeout_s=2.0)
        with pytest.raises(NoExecutor):
            unknown.trigger(Noop).finished.result(60)


def test_a_supervisor_listens_beyond_loopback_with_a_client_elsewhere(database_url, a_client):
    supervisor = Supervisor(database_url, "--listen", f"tcp://{own_address()}:*", workers=1)
    try:
        supervisor.wait_ready(60)

        assert a_client().trigger(Noop).finished.result(60).result == "success"
    finally:
        supervisor.close()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.chmod(0o644), "others may read this secret key"),
        (lambda path: path.parent.chmod(0o755), "nobody else may enter it"),
        (lambda path: path.write_text("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"), "ZeroMQ's manual"),
        (lambda path: path.write_text("too short"), "has 9 characters"),
        (lambda path: path.unlink(), "there is no such file"),
    ],
)
def test_a_key_file_that_is_not_well_kept_is_refused_at_the_start(database_url, tmp_path, make, reason):
    (tmp_path / "keys").mkdir(mode=0o700)
    path = tmp_path / "keys" / "secret"
    KeyPair.new().write(path)
    make(path)

    with pytest.raises(ConfigError, match=reason):
        World(database_url=database_url, curve_key_file=str(path))


def test_an_address_that_says_nothing_needs_a_host_for_others(database_url, a_client):
    address = own_address()
    with pytest.raises(ConnectorError, match="advertise_host"):
        World(database_url=database_url, workers=1, apps=["engine_actions"], listen="tcp://0.0.0.0:*")

    with World(
        database_url=database_url,
        workers=1,
        apps=["engine_actions"],
        listen="tcp://0.0.0.0:*",
        advertise_host=address,
    ):
        assert a_client().trigger(Noop).finished.result(60).result == "success"


def test_an_envelope_for_any_executor_is_nobody_s(executor, a_client):
    """Executors are named by who sends; a message for anybody is not taken from the wire."""
    client = a_client()
    with Intruder(executor) as intruder:
        intruder.say("plan", client.id, client.connector._keys, receiver_id=ANY_EXECUTOR)
        wait_until(lambda: executor.connector.protocol_errors, 60, "refusing it")


def test_the_keys_program(tmp_path):
    path = tmp_path / "keys" / "orders"

    def keys(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "dynflow_mp.cli", "keys", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ},
        )

    made, shown, again = keys("generate", str(path)), keys("show", str(path)), keys("generate", str(path))
    path.chmod(0o640)
    open_to_others = keys("show", str(path))

    assert made.returncode == 0
    assert len(made.stdout.strip()) == 40
    assert shown.stdout == made.stdout
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o700)
    assert (again.returncode, open_to_others.returncode) == (2, 2)
    assert "never overwritten" in again.stderr
    assert "others may read this secret key" in open_to_others.stderr
