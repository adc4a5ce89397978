"""Real processes that are stopped inside a write, or only look like it."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text

from dynflow_mp.errors import PersistenceError
from dynflow_mp.maintenance.frozen_writers import FROZEN_S, FrozenWriters
from dynflow_mp.persistence.database import Database, write_locks
from dynflow_mp.persistence.stays import is_inside, is_taken, last_stay
from dynflow_mp.persistence.turnstile import DEADLINE_S, Turnstile

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")

WRITES = """
import os, signal, sys
from sqlalchemy import text
from dynflow_mp.persistence.database import Database

database = Database(sys.argv[1])
with database.write() as connection:
    connection.execute(text("UPDATE t SET n = n + 1"))
    print("inside", flush=True)
    {inside}
print("outside", flush=True)
{outside}
"""
STOPS = "os.kill(os.getpid(), signal.SIGSTOP)"
WAITS = "sys.stdin.readline()"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plans.db"


@pytest.fixture
def room(url: str) -> str:
    """The file whose lock a writer holds."""
    return write_locks(url)[1]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))
    yield database
    database.close()


@pytest.fixture
def start(url: str, database: Database) -> Iterator[Start]:
    """A process that writes, and what it does inside and afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(inside: str = "", outside: str = "", gets_in: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITES.format(inside=inside, outside=outside), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert not gets_in or process.stdout.readline() == "inside\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def until_stopped(process: subprocess.Popen[str]) -> None:
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


def goes_on(process: subprocess.Popen[str]) -> bool:
    """Whether one that was stopped comes to its end; a kill on its way would be noticed."""
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=30)
    return process.returncode == 0


def look_long(frozen: FrozenWriters) -> None:
    """As often, and for as long, as it takes to be sure of a frozen one."""
    for second in range(31):
        frozen.look(float(second))


@pytest.fixture
def frozen(url: str) -> FrozenWriters:
    return FrozenWriters(write_locks(url), frozen_s=10.0, look_s=1.0)


def n(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.execute(text("SELECT n FROM t")).scalar_one()
    return found


def add_ten(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE t SET n = n + 10"))


def test_g27_a_process_stopped_inside_a_write_is_killed_and_who_waited_gets_in(
    url: str, start: Start, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    holder = start(STOPS)
    until_stopped(holder)
    frozen = FrozenWriters(write_locks(url), frozen_s=0.5, look_s=0.05)
    began = monotonic()

    frozen.start()
    add_ten(database)

    waited_s = monotonic() - began
    frozen.stop()
    assert holder.wait(10) == -signal.SIGKILL
    assert waited_s > 0.45
    assert n(database) == 10
    (told,) = [record for record in caplog.records if record.name.endswith("frozen_writers")]
    assert told.levelno == logging.WARNING
    assert f"process {holder.pid} has stood still for 0.5 s" in told.getMessage()
    assert "plans.db-lock" in told.getMessage()


def test_it_is_killed_before_anyone_at_the_door_gives_up() -> None:
    assert FROZEN_S + 1.0 < DEADLINE_S


def test_before_the_time_nothing_happens_to_it(start: Start, frozen: FrozenWriters) -> None:
    holder = start(STOPS)
    until_stopped(holder)

    for second in range(10):
        frozen.look(float(second))

    assert goes_on(holder)


def test_one_that_sleeps_inside_is_never_killed(
    start: Start, frozen: FrozenWriters, database: Database, room: str
) -> None:
    holder = start(WAITS)

    look_long(frozen)

    assert is_inside(holder.pid, room)
    holder.communicate("go on\n", timeout=30)
    assert holder.returncode == 0
    assert n(database) == 1


def test_one_that_goes_on_and_is_stopped_again_begins_anew(
    start: Start, frozen: FrozenWriters, database: Database
) -> None:
    holder = start(f"{STOPS}; sum(range(10**7)); {STOPS}")
    until_stopped(holder)
    for second in range(8):
        frozen.look(float(second))

    os.waitid(os.P_PID, holder.pid, os.WSTOPPED)
    holder.send_signal(signal.SIGCONT)
    until_stopped(holder)
    for second in range(8, 18):
        frozen.look(float(second))

    assert goes_on(holder)
    assert n(database) == 1


def test_one_that_is_stopped_outside_is_never_killed(
    start: Start, frozen: FrozenWriters, database: Database, room: str
) -> None:
    holder = start(outside=STOPS)
    until_stopped(holder)

    look_long(frozen)

    assert last_stay(room) is not None
    assert last_stay(room).pid == holder.pid  # type: ignore[union-attr]
    assert not is_taken(room)
    add_ten(database)
    assert goes_on(holder)


def test_a_file_that_names_the_wrong_process_kills_nobody(
    start: Start, frozen: FrozenWriters, room: str
) -> None:
    """As when a full disk has kept the next one from writing its name."""
    stopped = start(outside=STOPS)
    until_stopped(stopped)

    with open(room) as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        assert is_taken(room)
        look_long(frozen)

    assert goes_on(stopped)


def test_one_that_is_stopped_while_it_stands_in_line_is_killed_too(
    url: str, start: Start, frozen: FrozenWriters, database: Database
) -> None:
    """Whoever waits for the writer keeps all others from waiting."""
    gate = write_locks(url)[0]
    writer = start(WAITS)
    waiting = start(gets_in=False)
    give_up_at = monotonic() + 30
    while not is_inside(waiting.pid, gate):
        assert monotonic() < give_up_at, "it never came to the gate"
    waiting.send_signal(signal.SIGSTOP)
    until_stopped(waiting)

    look_long(frozen)

    assert waiting.wait(10) == -signal.SIGKILL
    writer.communicate("go on\n", timeout=30)
    assert writer.returncode == 0
    add_ten(database)
    assert n(database) == 11


def test_one_that_we_may_not_kill_is_named_once_in_a_line_that_says_what_to_do(
    start: Start,
    frozen: FrozenWriters,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("dynflow_mp.maintenance.frozen_writers.signal.pidfd_send_signal", refuse)
    holder = start(STOPS)
    until_stopped(holder)

    look_long(frozen)

    assert goes_on(holder)
    (told,) = [record for record in caplog.records if record.name.endswith("frozen_writers")]
    assert told.levelno == logging.ERROR
    assert f"kill -CONT {holder.pid}" in told.getMessage()


def test_its_own_process_is_never_looked_at(frozen: FrozenWriters, database: Database, room: str) -> None:
    with database.write():
        look_long(frozen)

        assert is_inside(os.getpid(), room)


def test_a_server_needs_no_thread_and_no_files() -> None:
    frozen = FrozenWriters(write_locks("postgresql://postgres@127.0.0.1/nowhere"))

    frozen.start()

    assert not frozen._thread.is_alive()
    frozen.stop()


def test_who_holds_the_gate_is_named(tmp_path: Path) -> None:
    ours = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)
    theirs = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)
    assert theirs._gate.enter(monotonic() + 10)

    with pytest.raises(PersistenceError, match=rf"process {os.getpid()} has held .*plans\.db-gate"):
        ours._enter()

    theirs._gate.leave()
    with ours.held():
        pass
