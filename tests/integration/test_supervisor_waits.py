"""A supervisor that starts before its database server waits for it, says so, and not for ever."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from databases import POSTGRESQL, require, server_url
from private_postgresql import PASSWORD, private_postgresql
from sqlalchemy import make_url

NOWHERE = "postgresql://scott:tiger@127.0.0.1:1/plans"


def test_a_server_that_comes_later_is_waited_for():
    require(POSTGRESQL)
    with private_postgresql() as server:
        server.stop()

        with _supervisor(server.url(), wait_s=60) as supervisor:
            waiting = _line(supervisor.stderr)
            server.start()
            ready = _line(supervisor.stdout)
            supervisor.send_signal(signal.SIGTERM)
            status = supervisor.wait(30)

    assert "the database server cannot be reached" in waiting
    assert "trying again for" in waiting
    assert PASSWORD not in waiting
    assert ready.startswith("ready world=")
    assert status == 0


def test_a_server_that_does_not_come_is_given_up():
    require(POSTGRESQL)
    with _supervisor(NOWHERE, wait_s=3) as supervisor:
        output, errors = supervisor.communicate(timeout=30)

    *tries, last = errors.splitlines()
    assert supervisor.returncode == 1
    assert output == ""
    assert len(tries) >= 1
    assert all("trying again" in line for line in tries)
    assert "cannot be reached" in last
    assert "trying again" not in last
    assert "tiger" not in errors


def test_what_waiting_cannot_mend_is_not_waited_for():
    require(POSTGRESQL)
    missing = make_url(server_url(POSTGRESQL)).set(database="dynflow_test_missing")

    with _supervisor(missing.render_as_string(hide_password=False), wait_s=600) as supervisor:
        _, errors = supervisor.communicate(timeout=30)

    assert supervisor.returncode == 2
    assert "the server has no such database" in errors
    assert errors.count("\n") == 1


def test_a_signal_ends_the_waiting():
    require(POSTGRESQL)
    with _supervisor(NOWHERE, wait_s=600) as supervisor:
        _line(supervisor.stderr)

        supervisor.send_signal(signal.SIGTERM)

        assert supervisor.wait(10) == 0


@contextmanager
def _supervisor(url: str, wait_s: float) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dynflow_mp.supervisor", "--workers", "1", "--app", "actions_for_tests"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "DYNFLOW_DATABASE_URL": url,
            "DYNFLOW_DATABASE_WAIT_S": str(wait_s),
            "PYTHONPATH": os.path.dirname(os.path.dirname(__file__)),
        },
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _line(stream: object, seconds: float = 30.0) -> str:
    give_up_at = monotonic() + seconds
    fd = stream.fileno()  # type: ignore[attr-defined]
    found = b""
    while not found.endswith(b"\n"):
        left_s = give_up_at - monotonic()
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            pytest.fail(f"no line within {seconds:g} s, only {found!r}")
        character = os.read(fd, 1)
        assert character, f"the stream ended after {found!r}"
        found += character
    return found.decode()
