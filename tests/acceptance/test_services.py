"""The supervisor as a service: of systemd, and as process 1 of a container."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from ending_actions import LeavesOrphans
from engine_actions import Crashes, Held, Noop
from watching import HERE, lines_of, run, wait_until

UNIT = HERE.parents[1] / "packaging" / "dynflow-mp.service"


# -- systemd ---------------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A service manager's socket, and what comes over it."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        yield listening


def test_a_service_manager_hears_when_it_is_ready_that_it_lives_and_that_it_stops(
    manager, start_supervisor, a_client, tmp_path, monkeypatch
):
    imported, go = tmp_path / "imported", tmp_path / "go"
    (tmp_path / "slow_to_import.py").write_text(
        f"import pathlib, time\nfrom ending_actions import *\npathlib.Path({str(imported)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    supervisor = start_supervisor(wait=False, app="slow_to_import", workers=1)
    assert manager.recv(4096) == b"STATUS=starting"
    wait_until(imported.exists, 60, "the import")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)
    manager.settimeout(60)
    go.touch()

    assert manager.recv(4096).startswith(b"READY=1\nSTATUS=1 worker at ipc://")
    assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    assert run(a_client(), LeavesOrphans, count=0).entry_action.output["told"] == []
    supervisor.signal(signal.SIGTERM)
    last = b"WATCHDOG=1"
    while last == b"WATCHDOG=1":
        last = manager.recv(4096)
    assert last == b"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=70000000"
    assert supervisor.wait() == 0


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text())

    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_an_end_the_time_that_it_may_take():
    from dynflow_mp import Config
    from dynflow_mp.world.budget import RESERVE_S

    settings = dict(
        line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#"
    )

    assert int(settings["TimeoutStopSec"]) > Config().termination_budget_s + RESERVE_S
    assert settings["RestartPreventExitStatus"] == "2"
    assert settings["KillMode"] == "mixed"


# -- containers ------------------------------------------------------------------------------------------


@pytest.fixture
def contained(start_supervisor, tmp_path, database_url):
    """Start a supervisor as process 1 of a container without anything: its pid here."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs unshare and root to make a pid namespace")
    if subprocess.run([unshare, "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace may be made here")

    def start(*options, **keywords):
        through = (
            unshare,
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            sys.executable,
            str(HERE / "process_one.py"),
            str(tmp_path),
        )
        return start_supervisor(*options, through=through, **keywords)

    return start


def init_of(supervisor):
    (init,) = psutil.Process(supervisor.process.pid).children()
    return init


def zombies_below(process):
    return [child.pid for child in process.children(recursive=True) if child.status() == psutil.STATUS_ZOMBIE]


def test_g24_process_1_of_a_strict_container_reaps_what_is_left_and_drains(contained, a_client, tmp_path):
    """Its root may only be read, it has no home, no shared memory, few files, and signals need a handler."""
    supervisor = contained("--listen", "tcp://127.0.0.1:*", workers=1, app="ending_actions")
    init, client = init_of(supervisor), a_client(no_executor_timeout_s=60)

    plan = run(client, LeavesOrphans, count=5, timeout=60)
    output = plan.entry_action.output
    assert "dynflow_mp.supervisor" in output["init"]
    assert output["home"] is None
    wait_until(lambda: len(init.children()) <= 2, what="the orphans' end")  # its worker and its guardian
    assert zombies_below(init) == []

    crashed = run(client, Crashes, cured=str(tmp_path / "never"), timeout=60)
    assert crashed.steps[2].error.cause == "signal(9)"  # nobody took its exit status away

    log, go = tmp_path / "log", tmp_path / "go"
    held = client.trigger(Held, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    init.send_signal(signal.SIGTERM)
    wait_until(
        lambda: (
            [record.state for record in client.coordinator.find_worlds(id=supervisor.world_id)]
            == ["draining"]
        ),
        what="draining",
    )
    go.touch()

    status, _, said = supervisor.output(60)
    assert (status, held.finished.result(60).result) == (0, "success"), said


def test_where_nothing_is_told_about_processes_plans_run_and_deaths_are_noticed(
    contained, a_client, tmp_path, monkeypatch
):
    monkeypatch.setenv("WITHOUT_PROC", "1")
    supervisor = contained("--listen", "tcp://127.0.0.1:*", workers=1)
    client = a_client(no_executor_timeout_s=60)

    crashed = run(client, Crashes, cured=str(tmp_path / "never"), timeout=60)
    plan = run(client, Noop, timeout=60)
    init_of(supervisor).send_signal(signal.SIGTERM)

    assert crashed.steps[2].error.cause == "signal(9)"
    assert plan.result == "success"
    assert supervisor.output(60)[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_heeds_a_signal_while_it_is_still_being_imported(contained, tmp_path, number, monkeypatch):
    """By default the kernel keeps signals from process 1: the container would have to be killed."""
    begun = tmp_path / "begun"
    (tmp_path / "click.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(1000)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    supervisor = contained(wait=False)
    wait_until(begun.exists, 60, "the import")

    init_of(supervisor).send_signal(number)

    assert supervisor.output(60) == (0, "", "")
