"""What a supervisor and its guardian left that were killed together is removed by the next one; nothing else is."""

import os
import socket
import tempfile
import time

import pytest

from dynflow_mp.executor import setup
from dynflow_mp.executor.left_directories import remove_left

AN_HOUR = 3600.0


@pytest.fixture
def base(tmp_path_factory):
    """A short path: a socket's has its limits."""
    return tmp_path_factory.mktemp("b")


@pytest.fixture
def listening():
    sockets = []

    def listen(path, age_s=AN_HOUR):
        path.parent.mkdir(exist_ok=True)
        sockets.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sockets[-1].bind(str(path))
        sockets[-1].listen(1)
        then = time.time() - age_s
        os.utime(path, (then, then))
        return sockets[-1]

    yield listen
    for one in sockets:
        one.close()


def test_a_socket_that_nobody_listens_on_goes_with_its_directory(base, listening):
    listening(base / "dynflow-a" / "workers").close()

    remove_left(base, "dynflow-", "workers")

    assert list(base.iterdir()) == []


def test_one_that_somebody_listens_on_stays_however_busy_he_is(base, listening):
    listening(base / "dynflow-a" / "workers")
    waiting = []
    for _ in range(3):  # more than are let wait
        remove_left(base, "dynflow-", "workers")
        waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(str(base / "dynflow-a" / "workers"))

    remove_left(base, "dynflow-", "workers")

    assert (base / "dynflow-a" / "workers").exists()
    for one in waiting:
        one.close()


def test_one_that_is_new_stays_since_its_owner_may_be_starting(base, listening):
    listening(base / "dynflow-a" / "workers", age_s=1.0).close()

    remove_left(base, "dynflow-", "workers")

    assert (base / "dynflow-a" / "workers").exists()


def test_other_files_and_directories_with_something_else_in_them_stay(base, listening):
    listening(base / "dynflow-a" / "workers").close()
    (base / "dynflow-a" / "mine").touch()
    (base / "dynflow-b").mkdir()
    (base / "dynflow-b" / "workers").write_text("no socket")
    listening(base / "other-c" / "workers").close()

    remove_left(base, "dynflow-", "workers")

    assert (base / "dynflow-a" / "mine").exists()
    assert (base / "dynflow-b" / "workers").exists()
    assert (base / "other-c" / "workers").exists()


def test_who_makes_a_directory_for_its_workers_removes_those_that_were_left(base, listening, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    listening(base / "dynflow-a" / "workers").close()

    made = setup._private_directory()

    assert list(base.iterdir()) == [made]
