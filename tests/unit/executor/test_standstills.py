"""Who was stopped by a signal and forgotten is found, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dynflow_mp.executor.standstills import STOOD_S, Standstills, stands_still

PIDS = {"w1": 1, "w2": 2}


class Stopped:
    """Which pids stand still; set by the test."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def __call__(self, pid: int) -> bool:
        return pid in self.pids


def looked(standstills: Standstills, until: float, since: float = 5.0) -> list[str]:
    """What is found last, when it is looked every second."""
    found: list[str] = []
    for now in range(int(since), int(until) + 1):
        found = standstills.over(float(now), PIDS) or found
    return found


def test_one_that_stands_still_for_long_is_named_and_not_before() -> None:
    stopped = Stopped()
    standstills = Standstills(stopped)
    stopped.pids = {2}

    assert looked(standstills, STOOD_S) == []
    assert looked(standstills, STOOD_S + 11, STOOD_S + 1) == ["w2"]


def test_one_that_went_on_meanwhile_begins_anew() -> None:
    stopped = Stopped()
    standstills = Standstills(stopped)
    stopped.pids = {1}
    looked(standstills, 25)
    stopped.pids = set()
    looked(standstills, 31, 26)
    stopped.pids = {1}

    assert looked(standstills, 60, 32) == []


def test_a_core_that_did_not_turn_begins_anew() -> None:
    stopped = Stopped()
    standstills = Standstills(stopped)
    stopped.pids = {1}
    looked(standstills, 15)

    assert standstills.over(15 + STOOD_S, PIDS) == []
    assert looked(standstills, 15 + 2 * STOOD_S + 5, 16 + STOOD_S) == ["w1"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.kill()
    child.communicate()


def test_a_process_stands_still_from_sigstop_to_sigcont(process: subprocess.Popen[bytes]) -> None:
    before = stands_still(process.pid)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    during = stands_still(process.pid)
    process.send_signal(signal.SIGCONT)
    os.waitpid(process.pid, os.WCONTINUED)

    assert (before, during, stands_still(process.pid)) == (False, True, False)


def test_nobody_stands_still_where_nobody_is(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()

    assert not stands_still(process.pid)
