"""What a service manager is told, and when it is not."""

import logging
import os
import socket

import pytest

from dynflow_mp.supervisor import service_manager
from dynflow_mp.supervisor.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def listening(request, tmp_path):
    """A socket as a service manager has one, and how it is named to us."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        if request.param == "path":
            address = name = str(tmp_path / "notify")
        else:
            name = f"@dynflow-test-{os.getpid()}-{tmp_path.name}"
            address = "\0" + name[1:]
        manager.bind(address)
        manager.settimeout(10)
        yield manager, name


@pytest.fixture
def steady(monkeypatch):
    """A clock that stands until it is moved."""

    class Hands:
        now = 1000.0

    monkeypatch.setattr(service_manager, "monotonic", lambda: Hands.now)
    return Hands


def heard(manager):
    """What came so far."""
    manager.setblocking(False)
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def told(environment):
    return ServiceManager.of(environment)


def test_it_hears_of_each_stage(listening):
    manager, name = listening
    us = told({"NOTIFY_SOCKET": name})

    us.starting()
    us.ready("2 workers\nat ipc:///x")
    us.stopping("draining", 40.5)

    assert heard(manager) == [
        "STATUS=starting",
        "READY=1\nSTATUS=2 workers at ipc:///x",
        "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=40500000",
    ]


def test_it_hears_that_we_live_twice_as_often_as_it_wants_to_while_the_core_turns(listening, steady):
    manager, name = listening
    us = told({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())})

    for _ in range(40):
        us.look(lambda: steady.now - 1)
        steady.now += 1

    assert heard(manager) == ["WATCHDOG=1"] * 4


def test_a_core_that_does_not_turn_is_not_said_to_live_and_one_that_turns_again_is(listening, steady, caplog):
    manager, name = listening
    us = told({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"})

    with caplog.at_level(logging.ERROR, "dynflow_mp"):
        for _ in range(40):
            us.look(lambda: 1000.0)
            steady.now += 1
    assert heard(manager) == ["WATCHDOG=1"]
    assert caplog.text.count("the core has not turned for 10 s; the service manager is not told") == 1

    us.look(lambda: steady.now)
    assert heard(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "²"},
        {"WATCHDOG_USEC": "10", "WATCHDOG_PID": "1"},
    ],
)
def test_who_does_not_watch_us_is_not_told_that_we_live(listening, watchdog):
    manager, name = listening
    us = told({"NOTIFY_SOCKET": name, **watchdog})

    us.look(lambda: 0.0)

    assert heard(manager) == []
    assert us.patience_s == float("inf")


def test_nothing_of_it_is_passed_on():
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}

    told(environment)

    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    "name", [None, "", "@", "vsock:2:1234", "relative", "/no/such/socket", "/" + "x" * 200, "@nobody"]
)
def test_without_anybody_who_listens_nothing_happens(name):
    us = told({} if name is None else {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})

    us.starting()
    us.ready("x")
    us.look(lambda: service_manager.monotonic())
    us.stopping("x", 1)


def test_a_manager_that_does_not_read_keeps_nobody_waiting(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        us = told({"NOTIFY_SOCKET": path})

        for number in range(10_000):
            us.ready(str(number))

        assert len(heard(manager)) < 10_000
