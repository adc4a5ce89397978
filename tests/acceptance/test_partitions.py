"""Executors that are cut off from their database: at most one world records, and all is well again soon after."""

import os
import random
import signal
import time
from collections import Counter

import databases
import pytest
from effects import SeveralIntervals, Ticking, TickingOnce, overlaps, runs_of
from networks import Cable, namespaces
from sqlalchemy import make_url
from watching import alive, wait_until

from dynflow_mp.errors import WorkerLost

TTL_S = 3.0
pytestmark = pytest.mark.usefixtures("quick_to_look")


@pytest.fixture
def database_url(tmp_path):
    with databases.fresh_database(databases.POSTGRESQL, tmp_path) as url:
        yield url


@pytest.fixture
def server_address(database_url):
    url = make_url(database_url)
    return url.host, url.port


@pytest.fixture(autouse=True)
def short_lease(monkeypatch):
    monkeypatch.setenv("DYNFLOW_LEASE_TTL_S", str(TTL_S))


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def go(tmp_path):
    return tmp_path / "go"


@pytest.fixture
def supervisor(start_supervisor):
    return lambda **keywords: start_supervisor(app="effects", workers=1, **keywords)


@pytest.fixture
def ticking(log, go):
    def start(client, action):
        triggered = client.trigger(action, name="step", log=str(log), until=str(go))
        wait_until(lambda: runs_of(log, "step"), 60, "the step's beginning")
        return triggered

    return start


def test_g26_steps_of_a_world_that_is_cut_off_end_before_its_lease_does_and_it_goes_on_afterwards(
    supervisor, a_client, ticking, log, go, database_url, server_address
):
    """Nobody else is there: what was recorded stays so, the plan is paused, and is resumed in the same world."""
    cable = Cable(server_address)
    only = supervisor(database_url=cable.url(database_url))
    client = a_client()
    triggered = ticking(client, TickingOnce)
    worker = runs_of(log, "step")[0].pid

    cable.cut()
    cut_at = time.monotonic()
    wait_until(lambda: not alive(worker), 60, "the end of the worker")
    ended_s = time.monotonic() - cut_at
    wait_until(lambda: time.monotonic() > cut_at + 2 * TTL_S, 60)
    cable.mend()
    paused = triggered.finished.result(60)
    go.touch()
    resumed = client.execute(triggered.id).result(60)

    assert ended_s < TTL_S
    assert (paused.state, paused.result) == ("paused", "error")
    (failed,) = paused.failed_steps
    assert isinstance(failed.error.exception, WorkerLost)
    assert "its lease" in failed.error.message
    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert {entry.world_id for entry in resumed.execution_history} == {only.world_id}
    assert overlaps(log, "step") == []
    only.signal(signal.SIGTERM)
    assert only.wait(60) == 0
    cable.cut()


def test_g33_one_of_two_networks_is_cut_off_and_joined_again(
    supervisor, a_client, ticking, log, go, database_url, server_address
):
    with namespaces(2) as networks:
        cables = [Cable(server_address, network.host_address) for network in networks]
        client = a_client()
        one = supervisor(through=networks[0].through, database_url=cables[0].url(database_url))
        triggered = ticking(client, Ticking)
        other = supervisor(through=networks[1].through, database_url=cables[1].url(database_url))

        networks[0].cut()
        wait_until(lambda: len(runs_of(log, "step")) == 2, 60, "the second run")
        networks[0].join()
        joined_at = time.monotonic()
        status = one.wait(60)
        converged_s = time.monotonic() - joined_at
        go.touch()
        plan = triggered.finished.result(60)

        assert overlaps(log, "step") == []
        assert status == 75
        assert converged_s < TTL_S + 15
        assert (plan.state, plan.result) == ("stopped", "success")
        assert [(entry.name, entry.world_id) for entry in plan.execution_history] == [
            ("start execution", one.world_id),
            ("terminate execution", one.world_id),
            ("start execution", other.world_id),
            ("finish execution", other.world_id),
        ]
        (step,) = plan.run_steps
        assert step.attempts == len(runs_of(log, "step")) == 2


CUTS_S = (1, 2, 4, 6, 10, 3, 5, 1, 8, 20)
ROUNDS = int(os.environ.get("ROUNDS", "1"))
PLANS, STEPS = 20, 4


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_g33_networks_are_cut_apart_again_and_again_under_load(
    start_supervisor, a_client, tmp_path, database_url, server_address
):
    """Some cuts are shorter than a lease, some longer. What is fenced is started again, as a service manager would."""
    log = tmp_path / "log"
    chance = random.Random(33)
    with namespaces(2) as networks:
        cables = [Cable(server_address, network.host_address) for network in networks]

        def start(number):
            url = cables[number].url(database_url)
            return start_supervisor(app="effects", through=networks[number].through, database_url=url)

        client = a_client(no_executor_timeout_s=600)
        supervisors = [start(0), start(1)]
        triggered = [
            client.trigger(SeveralIntervals, STEPS, log=str(log), plan=number, seconds=1.0)
            for number in range(PLANS * ROUNDS)
        ]
        exits = Counter()
        for cut_s in CUTS_S * ROUNDS:
            victim = chance.randrange(2)
            networks[victim].cut()
            until = time.monotonic() + cut_s
            wait_until(lambda until=until: time.monotonic() > until, cut_s + 5)
            networks[victim].join()
            for number, supervisor in enumerate(supervisors):
                status = supervisor.process.poll()
                if status is not None:
                    exits[status] += 1
                    supervisors[number] = start(number)
        plans = [ended(client, each.finished.result(600)) for each in triggered]

    steps = [f"{plan}/{number}" for plan in range(len(triggered)) for number in range(STEPS)]
    print(f"{len(plans)} plans, {len(steps)} steps, {len(CUTS_S) * ROUNDS} cuts, exits {dict(exits)}")
    assert {(plan.state, plan.result) for plan in plans} == {("stopped", "success")}
    assert [name for name in steps if overlaps(log, name)] == []
    assert [name for name in steps if not runs_of(log, name)] == []
    assert set(exits) <= {75}


def ended(client, plan):
    """Resumed as often as it takes: even an idempotent step is not begun again by itself after its third crash."""
    for _ in range(20):
        if plan.state == "stopped":
            break
        plan = client.execute(plan.id).result(600)
    return plan
