"""The most memory a process has had: its own, whatever started it."""

import subprocess
import sys
import textwrap

import pytest

from dynflow_mp.executor.resident import own_peak_bytes, peak_bytes

MIB = 2**20


def test_what_was_had_once_is_told_for_ever():
    before = own_peak_bytes()
    b"x" * (before + 32 * MIB)

    assert own_peak_bytes() >= before + 32 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the two apart")
def test_the_peak_of_what_started_a_process_is_not_its_own():
    """A supervisor that a large program starts would otherwise take every worker for a small one."""
    program = f"""
        import subprocess, sys
        ballast = b"x" * {200 * MIB}
        child = "from dynflow_mp.executor.resident import own_peak_bytes; print(own_peak_bytes())"
        subprocess.run([sys.executable, "-c", child], check=True)
    """

    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert 1 * MIB < int(out) < 100 * MIB


def test_a_process_that_is_gone_has_no_peak():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(60)

    assert peak_bytes(gone.pid) is None
