"""Disks that are full or read-only, and database files that are locked, removed or replaced under running worlds."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager

import pytest
from engine_actions import Echo, Held, Noop
from leftovers import nothing_left
from watching import lines_of, run, wait_until

from dynflow_mp.errors import DatabaseReplaced, PersistenceError

SIZE = 4 * 1024 * 1024


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch):
    with nothing_left(monkeypatch):
        yield


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes; only root can have one."""
    if os.geteuid() != 0:
        leave_out("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode:
        leave_out(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def leave_out(reason):
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def filled(disk):
    """Nothing can be written to the disk within."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        file.write(b"x" * 2 * SIZE) and file.write(b"x" * 2 * SIZE)
    try:
        yield
    finally:
        filler.unlink()


def held_plan(client, tmp_path):
    """A plan whose step runs, and the file that ends the step."""
    log, go = tmp_path / "log", tmp_path / "go"
    triggered = client.trigger(Held, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    return triggered, go


def ended(supervisor, status=0):
    """What the log of a supervisor says that ends with this status."""
    found, _, err = supervisor.output(60)
    assert found == status, err
    assert "Traceback" not in err
    return err


def ended_by_a_signal(supervisor):
    supervisor.signal(signal.SIGTERM)
    return ended(supervisor)


def integrity_of(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()


def test_g28_a_full_disk_refuses_plans_whole_and_running_ones_go_on_when_there_is_room(
    small_disk, start_supervisor, a_client, tmp_path
):
    path = small_disk / "plans.db"
    supervisor = start_supervisor(workers=1, database_url=f"sqlite:///{path}")
    client = a_client(database_url=f"sqlite:///{path}")
    triggered, go = held_plan(client, tmp_path)

    with filled(small_disk):
        for ask in (client.plan, client.trigger):
            with pytest.raises(PersistenceError) as refused:
                ask(Echo, text="x" * 100_000)
            assert refused.value.kind == "disk_full"
        assert client.persistence.count_execution_plans() == 1
        go.touch()
        wait_until(lambda: len(lines_of(tmp_path / "log")) == 2, what="the step's end")
        time.sleep(0.3)  # the outcome cannot be stored: nothing to wait for but that it is tried
        assert supervisor.process.poll() is None

    assert triggered.finished.result(60).result == "success"
    assert run(client, Noop, timeout=60).result == "success"
    assert "database or disk is full" in ended_by_a_signal(supervisor)
    client.terminate().result(30)
    assert integrity_of(path) == "ok"


def test_g28_a_disk_that_becomes_read_only_loses_nothing(small_disk, start_supervisor, a_client, tmp_path):
    path = small_disk / "plans.db"
    client = a_client(database_url=f"sqlite:///{path}")
    plan = client.plan(Noop)
    client.terminate().result(30)

    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    supervisor = start_supervisor(wait=False, workers=1, database_url=f"sqlite:///{path}")
    status, out, err = supervisor.output(60)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)

    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert str(path) in err
    again = a_client(database_url=f"sqlite:///{path}")
    assert again.persistence.load_execution_plan(plan.id).state == "planned"
    again.terminate().result(30)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_database_file_that_is_removed_or_replaced_ends_the_worlds_that_have_it_open(
    start_supervisor, a_client, database_url, tmp_path, how
):
    """What they wrote from then on nobody would ever find."""
    path = database_url.removeprefix("sqlite:///")
    supervisor = start_supervisor(workers=1)
    client = a_client()
    assert run(client, Noop).result == "success"

    if how == "removed":
        os.unlink(path)
    else:
        with sqlite3.connect(f"{path}-other") as other:
            other.execute("CREATE TABLE something (id INTEGER)")
        other.close()
        os.replace(f"{path}-other", path)

    with pytest.raises(DatabaseReplaced, match=f"{path} was {how} while it was open"):
        client.trigger(Noop)
    log = ended(supervisor, 75)
    assert f"the database file {path} was {how} while it was open; this world ends itself" in log


def test_a_database_that_another_program_has_locked_is_waited_for(
    start_supervisor, a_client, database_url, tmp_path
):
    """Longer than one attempt takes, and the running step is let be."""
    supervisor = start_supervisor(workers=1)
    client = a_client()
    triggered, go = held_plan(client, tmp_path)
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    go.touch()
    time.sleep(7.0)  # that nothing happens cannot be waited for
    assert not triggered.finished.done()
    other.execute("ROLLBACK")
    other.close()

    plan = triggered.finished.result(60)
    assert (plan.result, plan.steps[2].attempts) == ("success", 1)
    log = ended_by_a_signal(supervisor)
    assert "database is locked" in log
    assert "was killed" not in log
