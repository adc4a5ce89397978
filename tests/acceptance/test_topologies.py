"""The dispatcher's behaviours (worlds §19, items 31–40) wherever client and executor stand.

embedded  one world that is both          direct  worlds of one process that share a connector
ipc       a client and supervisors        tcp     the same over the loopback interface
database  a client and supervisors that have only their database in common
"""

import signal
import time
from contextlib import contextmanager

import pytest
from engine_actions import Evented, Noop
from watching import Supervisor, run, wait_until

from dynflow_mp import World
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import DynflowError, NoExecutor, UnprocessableEvent, WorldTerminated
from dynflow_mp.persistence.database import Database

SHARED = ["direct", "ipc", "tcp", "database"]
"""Where clients and executors are different worlds."""
OPTIONS = {"ipc": (), "tcp": ("--listen", "tcp://127.0.0.1:*"), "database": ("--connector", "database")}


class Town:
    """A client and its executors on one database. All of it is gone when it ends."""

    def __init__(self, topology, database_url):
        self.topology, self.database_url = topology, database_url
        self.connector = DirectConnector() if topology == "direct" else None
        self.endings = {}
        self.client = self._embedded() if topology == "embedded" else self._client()

    def _embedded(self):
        world = World(database_url=self.database_url, workers=1, apps=["engine_actions"])
        self.endings[world.id] = lambda: world.terminate().result(30)
        return world

    def _client(self):
        connector = self.connector or ("database" if self.topology == "database" else "auto")
        return World(database_url=self.database_url, connector=connector, no_executor_timeout_s=1.0)

    def start_executor(self):
        """One more executor, ready; its world id."""
        return self._start_world() if self.topology == "direct" else self._start_supervisor()

    def _start_world(self):
        world = World(
            database_url=self.database_url, connector=self.connector, workers=1, apps=["engine_actions"]
        )
        self.endings[world.id] = lambda: world.terminate().result(30)
        return world.id

    def _start_supervisor(self):
        supervisor = Supervisor(self.database_url, *OPTIONS[self.topology], workers=1)
        try:
            world_id = supervisor.wait_ready().world_id
        except BaseException:
            supervisor.close()
            raise
        self.endings[world_id] = lambda: self._end_supervisor(supervisor)
        return world_id

    def _end_supervisor(self, supervisor):
        try:
            supervisor.signal(signal.SIGTERM)
            assert supervisor.wait() == 0
        finally:
            supervisor.close()

    def end(self, world_id):
        """End an executor in good order and wait until it has."""
        self.endings.pop(world_id)()

    def close(self):
        for world_id in list(self.endings):
            self.end(world_id)
        self.client.terminate().result(30)

    def records_left(self):
        database = Database(self.database_url)
        try:
            return Coordinator(database, "watcher").find_records()
        finally:
            database.close()


@contextmanager
def a_town(topology, directory):
    """Worlds 187: when all worlds have ended in good order, no record of the coordinator is left."""
    town = Town(topology, f"sqlite:///{directory / 'plans.db'}")
    try:
        yield town
    finally:
        town.close()
    assert town.records_left() == []


@pytest.fixture(scope="module", params=["embedded", *SHARED])
def town(request, tmp_path_factory):
    """One executor, for tests that leave it as it is."""
    with a_town(request.param, tmp_path_factory.mktemp(request.param)) as town:
        if request.param != "embedded":
            town.start_executor()
        yield town


@pytest.fixture(params=SHARED)
def own_town(request, tmp_path):
    """For tests that start and end executors."""
    with a_town(request.param, tmp_path) as town:
        yield town


def suspended_plan(client, execution=1):
    """Trigger a plan and wait until it is suspended."""
    triggered = client.trigger(Evented)
    wait_suspended(client, triggered.id, execution)
    return triggered


def wait_suspended(client, plan_id, execution):
    """Wait until the plan's step has suspended in this execution (1: the first)."""

    def stored():
        step = client.persistence.load_execution_plan(plan_id).steps[2]
        return (step.state, step.attempts) == ("suspended", execution)

    wait_until(stored, what=f"suspension number {execution}")


def test_worlds_31_an_event_from_the_client_ends_a_suspended_plan(town):
    triggered = suspended_plan(town.client)

    assert town.client.event(triggered.id, 2, "finish").result(10) is True

    plan = triggered.finished.result(10)
    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["heard"] == ["finish"]


def test_worlds_32_an_event_to_a_plan_that_ended_fails(town):
    plan = run(town.client, Noop)

    with pytest.raises(UnprocessableEvent):
        town.client.event(plan.id, 2, "late").result(10)


def test_worlds_36_a_ping_to_a_living_executor_succeeds_within_half_a_second(town):
    (executor,) = town.client.coordinator.find_worlds(executor=True)
    began = time.monotonic()

    assert town.client.ping(executor.id, timeout=0.5).result(5) is True
    assert time.monotonic() - began < 0.5


def test_worlds_39_the_records_of_all_worlds_are_fresh_after_their_creation(town):
    """Fresh is a lease that was renewed: no time is kept that clocks could disagree about."""
    records = town.client.coordinator.find_worlds()

    assert {town.client.id, *town.endings} == {record.id for record in records}
    assert all(record.state == "alive" and record.lease >= 1 for record in records)


def test_worlds_37_a_ping_to_an_embedded_world_that_ended_fails(tmp_path):
    with a_town("embedded", tmp_path) as town:
        town.end(town.client.id)

        with pytest.raises(WorldTerminated):
            town.client.ping(town.client.id, timeout=0.5).result(5)


def test_worlds_37_40_when_the_only_executor_has_ended_pings_and_plans_fail(own_town):
    """The plan stays requested: an executor that comes runs it."""
    client, executor = own_town.client, own_town.start_executor()
    assert run(client, Noop).result == "success"
    own_town.end(executor)

    ping = client.ping(executor, timeout=0.5)
    triggered = client.trigger(Noop)

    with pytest.raises(DynflowError):
        ping.result(5)
    with pytest.raises(NoExecutor, match="stays requested"):
        triggered.finished.result(10)
    assert client.persistence.load_execution_plan(triggered.id).state == "planned"


def test_worlds_35_a_plan_whose_executor_ends_is_run_on_by_another(own_town):
    """Core B354; the future that the client had from the beginning yields the plan."""
    client, first = own_town.client, own_town.start_executor()
    triggered = suspended_plan(client)
    second = own_town.start_executor()

    own_town.end(first)
    wait_suspended(client, triggered.id, execution=2)
    client.event(triggered.id, 2, "finish").result(10)

    plan = triggered.finished.result(10)
    assert (plan.state, plan.result) == ("stopped", "success")
    assert [(entry.name, entry.world_id) for entry in plan.execution_history] == [
        ("start execution", first),
        ("terminate execution", first),
        ("start execution", second),
        ("finish execution", second),
    ]
