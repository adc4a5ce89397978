"""Orphans are reaped, and what the engine started itself is left to whoever wants to know how it ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, subprocess, sys, time
from dynflow_mp.executor.child import Child, pipe
from dynflow_mp.supervisor.orphans import reap_orphans
from contextlib import ExitStack

SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0  # as process 1 is by nature

def ended(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status

def orphan(status):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        pid = os.fork()
        if pid == 0:
            os._exit(status)
        os.write(writer, str(pid).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(reader, 20))

assert reap_orphans() == 0
orphans = [orphan(status) for status in (0, 1, 2)]
assert [ended(pid) for pid in orphans] == [0, 1, 2]
assert reap_orphans() == 3

with ExitStack() as theirs, ExitStack() as ours:
    alive, their_alive = pipe(reader=ours, writer=theirs)
    child = Child([sys.executable, "-c", "import sys; sys.exit(3)"], inherited=[their_alive], alive_pipe=alive)
    theirs.close()
    assert ended(child.pid) == 3
    late = orphan(4)
    assert ended(late) == 4
    assert reap_orphans() == 0
    assert child.bury() == 3
    assert reap_orphans() == 1
assert reap_orphans() == 0
print("all well")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a process that inherits orphans")
def test_orphans_are_reaped_and_our_own_children_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("all well\n", "")
