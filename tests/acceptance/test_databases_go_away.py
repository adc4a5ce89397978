"""G25: a server that is away for a while, stopped or standing still, costs time and nothing else."""

import signal
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from private_postgresql import private_postgresql
from recovery_actions import SeveralCounted
from watching import alive, lines_of, wait_until

STEPS = 300
AWAY_S = 6.0


@pytest.fixture
def server():
    with private_postgresql() as server:
        yield server


@pytest.fixture
def database_url(server):
    return server.url()


@pytest.fixture(autouse=True)
def quick_to_look(monkeypatch):
    for name, seconds in {
        "reconcile_interval_s": 0.5,
        "reask_interval_s": 0.5,
        "lease_renewal_s": 0.5,
    }.items():
        monkeypatch.setenv(f"DYNFLOW_{name.upper()}", str(seconds))


def stop(server):
    server.stop()


def go_on(server):
    server.start()


def stand_still(server):
    tell_all(server, signal.SIGSTOP)


def move_again(server):
    tell_all(server, signal.SIGCONT)


def tell_all(server, number):
    """The one that starts the others first: then there are no new ones."""
    postmaster = psutil.Process(int((server.directory / "data" / "postmaster.pid").read_text().split()[0]))
    postmaster.send_signal(number)
    for process in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@pytest.mark.parametrize(("leave", "come_back"), [(stop, go_on), (stand_still, move_again)])
def test_g25_a_plan_goes_on_when_its_database_comes_back(
    server, start_supervisor, a_client, tmp_path, leave, come_back
):
    supervisor = start_supervisor(app="recovery_actions")
    client = a_client()
    log = tmp_path / "log"
    triggered = client.trigger(SeveralCounted, STEPS, log=str(log), plan="p", seconds=0.002)
    wait_until(lambda: len(lines_of(log)) > 2 * STEPS // 5, what="some steps")

    leave(server)
    left_at = time.monotonic()
    wait_until(lambda: time.monotonic() > left_at + AWAY_S, AWAY_S + 5)
    done_before = len(lines_of(log))
    come_back(server)
    came_back_at = time.monotonic()
    wait_until(lambda: len(lines_of(log)) > done_before, 30, what="the next step")
    resumed_s = time.monotonic() - came_back_at
    plan = triggered.finished.result(60)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert set(Counter(lines_of(log)).values()) == {1}
    assert len(lines_of(log)) == 2 * STEPS
    assert [entry.name for entry in plan.execution_history] == ["start execution", "finish execution"]
    assert alive(supervisor.process.pid)
    # 5 s are promised; a crowded machine may take longer to start things.
    assert resumed_s < 20
    print(f"resumed after {resumed_s:.2f} s")
