"""G1: whoever was told that a plan is stored finds it again, whatever was killed since."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from private_postgresql import private_postgresql
from watching import HERE, lines_of, wait_until

OFTEN = [1, pytest.param(50, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])]
SOME = 15


@pytest.fixture
def start_planning(tmp_path):
    """Start programs that plan; all are killed in the end."""
    started = []

    def start(database_url, name):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        command = [sys.executable, str(HERE / "planning_program.py"), database_url, str(tmp_path / name)]
        started.append(subprocess.Popen(command, env=environment, start_new_session=True))
        return started[-1]

    yield start
    for program in started:
        program.kill()
        program.wait(30)


def told(tmp_path):
    """Ids of plans that somebody was told are stored; whole lines only, each was written at once."""
    return {line for path in tmp_path.glob("told-*") for line in lines_of(path)}


def check_all_are_there(client, ids):
    stored = client.persistence.find_statuses({"id": list(ids)})
    assert ids - set(stored) == set()
    for plan_id in list(ids)[:: max(1, len(ids) // 20)]:
        assert client.persistence.load_execution_plan(plan_id).valid


@pytest.mark.every_database
@pytest.mark.parametrize("times", OFTEN)
def test_g1_every_plan_that_was_acknowledged_is_there_after_all_processes_were_killed(
    start_planning, start_supervisor, a_client, database_url, tmp_path, times
):
    for time in range(times):
        before = len(told(tmp_path))
        supervisor = start_supervisor()
        programs = [start_planning(database_url, f"told-{time}-{number}") for number in range(2)]
        wait_until(lambda seen=before: len(told(tmp_path)) >= seen + SOME, 60, what="some plans")
        for process in (*programs, supervisor.process):
            os.killpg(process.pid, signal.SIGKILL)
        for process in (*programs, supervisor.process):
            process.wait(30)
    ids = told(tmp_path)

    check_all_are_there(a_client(), ids)
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    print(f"{times} times all were killed: {len(ids)} plans were acknowledged, and are there")


@pytest.mark.parametrize("times", OFTEN)
def test_g1_every_plan_that_was_acknowledged_is_there_after_postgresql_was_stopped_at_once(
    start_planning, a_client, tmp_path, times
):
    """As a power failure would: without a checkpoint, in the middle of transactions."""
    with private_postgresql(fsync="on") as server:
        for time in range(times):
            before = len(told(tmp_path))
            program = start_planning(server.url(), f"told-{time}")
            wait_until(lambda seen=before: len(told(tmp_path)) >= seen + SOME, 60, what="some plans")
            server.stop()
            program.kill()
            program.wait(30)
            server.start(fsync="on")
        client = a_client(database_url=server.url())
        ids = told(tmp_path)

        check_all_are_there(client, ids)
        client.terminate().result(30)
    print(f"{times} times stopped: {len(ids)} plans were acknowledged, and are there")
