"""Worlds that have nothing but their database in common: plans, events, halting, deaths."""

import signal
import time

import pytest
from databases import POSTGRESQL
from recovery_actions import Evented, Noop, SeveralCounted
from sqlalchemy import func, select, text
from watching import kill, lines_of, run, wait_until

from dynflow_mp.errors import NoExecutor
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.tables import envelopes

pytestmark = pytest.mark.usefixtures("quick_to_look", "over_the_database")


@pytest.fixture
def over_the_database(monkeypatch):
    """Worlds, here and in processes started from here, that reach each other through the database alone."""
    monkeypatch.setenv("DYNFLOW_CONNECTOR", "database")


@pytest.fixture
def supervisor(start_supervisor):
    return lambda **keywords: start_supervisor(app="recovery_actions", workers=1, **keywords)


def suspended(client, plan_id, execution=1):
    def stored():
        step = client.persistence.load_execution_plan(plan_id).steps[2]
        return (step.state, step.attempts) == ("suspended", execution)

    wait_until(stored, what=f"suspension number {execution}")


def letters_left(database_url):
    database = Database(database_url)
    try:
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(envelopes)).scalar_one()
    finally:
        database.close()


@pytest.mark.every_database
def test_plans_events_halts_and_pings_need_only_the_database_and_survive_a_kill(
    supervisor, a_client, database_url
):
    one, other = supervisor(), supervisor()
    client = a_client()

    assert one.ready_line.endswith("listen=database://envelopes")
    assert [run(client, Noop).result for _ in range(4)] == ["success"] * 4
    assert all(client.ping(world.world_id, timeout=20).result(30) for world in (one, other))

    halted = client.trigger(Evented)
    suspended(client, halted.id)
    assert client.halt(halted.id).result(20).state == "stopped"
    assert halted.finished.result(20).state == "stopped"

    triggered = client.trigger(Evented)
    suspended(client, triggered.id)
    owner = client.coordinator.execution_lock(triggered.id).world_id
    kill(one if owner == one.world_id else other)
    suspended(client, triggered.id, execution=2)
    assert client.event(triggered.id, 2, "finish").result(20) is True

    plan = triggered.finished.result(20)
    successor = other if owner == one.world_id else one
    assert plan.result == "success"
    assert [(entry.name, entry.world_id) for entry in plan.execution_history] == [
        ("start execution", owner),
        ("terminate execution", owner),
        ("start execution", successor.world_id),
        ("finish execution", successor.world_id),
    ]
    successor.signal(signal.SIGTERM)
    assert successor.wait() == 0
    assert letters_left(database_url) == 0


def test_g31_plans_of_a_killed_executor_end_and_what_was_sent_to_it_is_removed(
    supervisor, a_client, database_url, tmp_path
):
    log = tmp_path / "log"
    supervisors = [supervisor(), supervisor()]
    client = a_client()
    triggered = [
        client.trigger(SeveralCounted, 4, plan=number, log=str(log), seconds=0.02) for number in range(20)
    ]
    wait_until(lambda: len(lines_of(log)) > 30, what="the middle of the work")

    kill(supervisors[0])
    plans = [one.finished.result(60) for one in triggered]
    plans = [client.execute(plan.id).result(60) if plan.state == "paused" else plan for plan in plans]

    assert {(plan.state, plan.result) for plan in plans} == {("stopped", "success")}
    wait_until(lambda: letters_left(database_url) == 0, what="the end of all envelopes")


def test_a_world_with_another_connector_is_not_addressed_in_vain(supervisor, a_client):
    """Its executors count as none, at once: nothing is sent that nobody takes."""
    supervisor()
    client = a_client(connector="zeromq", no_executor_timeout_s=0.3)

    triggered = client.trigger(Noop)

    with pytest.raises(NoExecutor):
        triggered.finished.result(20)
    # The executor finds the plan in the database by itself: requested plans are looked for.
    wait_until(
        lambda: client.persistence.load_execution_plan(triggered.id).result == "success", what="the run"
    )


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_a_plan_is_done_although_the_connections_that_listen_are_killed_again_and_again(
    supervisor, a_client, database_url
):
    supervisor()
    client = a_client()
    database = Database(database_url)
    kill_all = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    try:
        for _ in range(5):
            with database.write() as connection:
                connection.execute(kill_all)
            began = time.monotonic()
            assert run(client, Noop).result == "success"
            assert time.monotonic() - began < 20
    finally:
        database.close()
