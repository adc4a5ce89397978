"""Proof of death on one host: real processes, and traces that prove nothing."""

import json
import os
import subprocess
import sys

import pytest

from dynflow_mp.maintenance.processes_alive import own_traces, proved_dead

TELL = """
from dynflow_mp.maintenance.processes_alive import own_traces
import json, sys
print(json.dumps(own_traces()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child():
    """A process of this host, and its traces."""
    process = subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process, json.loads(process.stdout.readline())
        process.kill()


def test_this_process_lives():
    assert not proved_dead(own_traces())


def test_a_process_that_lives_is_not_dead_and_one_that_was_killed_is(child):
    process, traces = child
    assert not proved_dead(traces)

    process.kill()
    process.wait(10)

    assert proved_dead(traces)


def test_one_that_nobody_has_waited_for_yet_is_dead_too(child):
    process, traces = child

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended; its exit status still there

    assert proved_dead(traces)


def test_a_pid_that_has_gone_to_another_process_proves_the_first_one_dead():
    assert proved_dead({**own_traces(), "began": own_traces()["began"] - 100.0})


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "elsewhere"},
        {"boot_id": "an earlier boot"},
        {"pid_namespace": "pid:[1]"},
        {"pid": None},
        {"pid": 2**31},
        {"pid": 2**64 - 1},
        {"pid": 0},
        {"pid": -1},
        {"began": None},
    ],
)
def test_what_is_not_known_is_no_proof(changes):
    traces = {**own_traces(), "pid": 2**22 - 1, **changes}

    assert not proved_dead(traces)
    assert not proved_dead({})
