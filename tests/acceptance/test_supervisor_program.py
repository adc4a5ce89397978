"""``python -m dynflow_mp.supervisor``: start, serve, drain, die."""

import re
import signal
import time

import pytest
from engine_actions import Chain, Held, InQueue, Noop, SpawnsChild
from watching import Supervisor, alive, lines_of, run, wait_until


@pytest.mark.every_database
def test_a_client_process_has_its_plans_run_by_a_supervisor(start_supervisor, a_client):
    supervisor = start_supervisor()
    client = a_client()

    plan = run(client, Chain, 10)

    assert re.fullmatch(r"ready world=\w+ workers=2 listen=\S+", supervisor.ready_line)
    assert (plan.state, plan.result) == ("stopped", "success")
    assert {entry.world_id for entry in plan.execution_history} == {supervisor.world_id}


@pytest.mark.every_database
def test_two_supervisors_share_the_plans_of_one_client(start_supervisor, a_client, tmp_path):
    supervisors = [start_supervisor(), start_supervisor()]
    client = a_client()
    wait_until(lambda: client.ping(supervisors[1].world_id).result(10), what="the connection")
    log, go = tmp_path / "log", tmp_path / "go"

    held = [client.trigger(Held, log=str(log), until=str(go)) for _ in range(4)]
    wait_until(lambda: len(lines_of(log)) == 4, what="four steps running on four workers of two supervisors")
    go.touch()
    plans = [triggered.finished.result(30) for triggered in held]
    plans += [run(client, Chain, 3) for _ in range(10)]

    ran_by = [plan.execution_history[0].world_id for plan in plans]
    assert {plan.result for plan in plans} == {"success"}
    assert all(ran_by[:4].count(supervisor.world_id) == 2 for supervisor in supervisors)
    assert all(ran_by.count(supervisor.world_id) >= 4 for supervisor in supervisors)


def test_a_supervisor_says_how_busy_it_is(start_supervisor, a_client):
    """Core B392."""
    supervisor = start_supervisor()
    client = a_client()

    status = client.execution_status(supervisor.world_id).result(5)

    assert status == {"default": {"pool_size": 2, "free_workers": 2, "queue_size": 0}}


def test_a_supervisor_that_comes_late_still_runs_the_plan(a_client, start_supervisor):
    client = a_client(no_executor_timeout_s=30)
    triggered = client.trigger(Noop)

    start_supervisor()

    assert triggered.finished.result(30).result == "success"


@pytest.mark.every_database
def test_g24_sigterm_drains_running_steps_end_and_the_exit_is_clean(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor()
    client = a_client()
    log = tmp_path / "log"
    triggered = client.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    supervisor.signal(signal.SIGTERM)
    time.sleep(0.2)  # no condition to wait for: it must still be there
    assert supervisor.process.poll() is None
    (tmp_path / "go").touch()

    assert supervisor.wait() == 0
    assert triggered.finished.result(10).result == "success"


def test_a_second_signal_stops_at_once(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor()
    client = a_client()
    log = tmp_path / "log"
    triggered = client.trigger(Held, log=str(log), until=str(tmp_path / "never"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    supervisor.signal(signal.SIGINT)
    wait_until(
        lambda: client.coordinator.find_worlds(id=supervisor.world_id)[0].state == "draining", what="draining"
    )
    supervisor.signal(signal.SIGINT)

    assert supervisor.wait(15) == 0
    plan = triggered.finished.result(20)
    assert (plan.state, plan.result) == ("paused", "error")


def test_g18_no_process_outlives_a_supervisor_killed_with_9(start_supervisor, a_client, tmp_path):
    supervisor = start_supervisor()
    client = a_client()
    log = tmp_path / "log"
    client.trigger(SpawnsChild, log=str(log))
    wait_until(lambda: lines_of(log), what="the step's child")
    child = int(lines_of(log)[0].split()[1])
    family = [*supervisor.descendants(), child]

    supervisor.signal(signal.SIGKILL)
    supervisor.wait()

    wait_until(lambda: not any(alive(pid) for pid in family), 5, "the end of all processes")


def test_a_long_temporary_directory_is_no_reason_not_to_start(
    start_supervisor, a_client, tmp_path, monkeypatch
):
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))

    start_supervisor(workers=1)

    assert run(a_client(), Noop).result == "success"


def test_named_queues_have_workers_of_their_own(start_supervisor, a_client, tmp_path):
    start_supervisor("--queue", "slow=1", workers=1)
    client = a_client()
    log = tmp_path / "log"
    held = client.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    assert run(client, InQueue).result == "success"

    (tmp_path / "go").touch()
    assert held.finished.result(10).result == "success"


@pytest.mark.parametrize(
    ("options", "keywords", "words"),
    [
        ((), {"workers": 0}, "--workers"),
        ((), {"workers": -1}, "--workers"),
        ((), {"workers": "x"}, "--workers"),
        ((), {"workers": None}, "at least one worker"),
        (("--wrokers", "2"), {}, "--wrokers"),
        (("--queue", "slow"), {}, "NAME=N"),
        (("--queue", "slow=1", "--queue", "slow=2"), {}, "given twice"),
        ((), {"workers": 1_000_000}, "512"),
        (("--listen", "carrier:pigeon"), {}, "listen"),
        (("--connector", "pigeon"), {}, "database"),
        (("--connector", "database", "--listen", "tcp://127.0.0.1:*"), {}, "listen"),
        ((), {"database_url": "nosuch://x/y"}, "nosuch"),
        ((), {"database_url": "sqlite:////nonexistent/dir/x.db"}, "/nonexistent/dir/x.db"),
        ((), {"app": "no_such_module"}, "no_such_module"),
    ],
)
def test_what_cannot_work_is_one_clear_line_and_exit_2(database_url, tmp_path, options, keywords, words):
    keywords.setdefault("database_url", database_url)
    supervisor = Supervisor(keywords.pop("database_url"), *options, cwd=tmp_path, **keywords)
    try:
        status, out, err = supervisor.output()
    finally:
        supervisor.close()

    assert status == 2, err
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1, err
