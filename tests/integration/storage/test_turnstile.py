"""One writer at a time, none starving: threads and real processes on one file."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PersistenceError
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.turnstile import Turnstile


def test_who_is_inside_is_named_after_the_deadline(tmp_path: Path):
    ours = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)
    theirs = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)

    with theirs.held(), pytest.raises(PersistenceError, match=f"process {os.getpid()} has held") as late:
        ours._enter()

    assert late.value.kind == "locked"
    with ours.held():
        pass


def test_who_stood_in_line_is_courteous_and_who_did_not_is_not(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/plans.db")
    ledger = Ledger(Store(database), Coordinator(database, "w"), lambda: None)
    told: list[float] = []
    inside, waited = Event(), 0.02

    def write() -> None:
        inside.wait(10)
        with database.write():
            told.append(ledger.courtesy_s)

    alone: list[float] = []
    for _ in range(20):  # the first one opens the files, and any may be interrupted
        with database.write():
            alone.append(ledger.courtesy_s)
    writer = Thread(target=write)
    writer.start()
    with database.write():
        inside.set()
        wait_for(lambda: database._turnstile._gate._threads.locked())  # the writer stands in line
        sleep(waited)
    writer.join(10)
    database.close()

    assert min(alone) == 0.0
    assert told == [0.005]


def wait_for(condition: Callable[[], bool]) -> None:
    ends = monotonic() + 10
    while not condition():
        assert monotonic() < ends, "nobody came"
        sleep(0.001)


def test_a_late_thread_gives_up_too(tmp_path: Path):
    turnstile = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)
    told: list[PersistenceError] = []

    def enter() -> None:
        try:
            turnstile._enter()
        except PersistenceError as error:
            told.append(error)

    with turnstile.held():
        thread = Thread(target=enter)
        thread.start()
        thread.join(10)

    assert [error.kind for error in told] == ["locked"]
    with turnstile.held():
        pass


def test_the_lock_is_free_after_an_error_inside(tmp_path: Path):
    turnstile = Turnstile(f"{tmp_path}/plans.db", deadline_s=0.1)

    with pytest.raises(KeyError), turnstile.held():
        raise KeyError

    with turnstile.held():
        pass


def test_a_closed_turnstile_opens_again(tmp_path: Path):
    turnstile = Turnstile(f"{tmp_path}/plans.db")

    turnstile.close()

    with turnstile.held():
        pass


def test_its_files_are_not_inherited_by_programs(tmp_path: Path):
    turnstile = Turnstile(f"{tmp_path}/plans.db")

    with turnstile.held():
        flags = fcntl.fcntl(turnstile._room._fd, fcntl.F_GETFD)

    assert flags & fcntl.FD_CLOEXEC


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path):
    turnstile = Turnstile(f"{tmp_path}/nowhere/plans.db")

    with pytest.raises(PersistenceError, match=r"cannot open .*nowhere"):
        turnstile._enter()


_HAMMER = """
import sys
from time import monotonic, sleep
from sqlalchemy import text
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store

url, me, busy = sys.argv[1:]
database = Database(url)
longest = 0.0
count = 0
end = monotonic() + 2.0
while monotonic() < end:
    began = monotonic()
    with database.write() as connection:
        longest = max(longest, monotonic() - began)
        connection.execute(text("UPDATE t SET n = n + 1"))
        connection.execute(text("INSERT INTO log (who) VALUES (:who)"), {"who": me})
        if busy == "busy":
            sleep(0.002)
    count += 1
    if busy != "busy":
        sleep(0.005)
database.close()
print(count, longest)
"""


def test_processes_that_write_all_the_time_neither_fail_nor_starve_each_other(url: str, database: Database):
    """Two busy writers and an occasional one, each its own process."""
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))
        connection.execute(text("CREATE TABLE log (who TEXT)"))

    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _HAMMER, url, str(number), busy],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, busy in enumerate(("busy", "busy", "now and then"))
    ]
    answers = [writer.communicate(timeout=60) for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0], answers
    counts = [int(answer.split()[0]) for answer, _ in answers]
    longest = [float(answer.split()[1]) for answer, _ in answers]
    assert min(counts) > 20
    assert max(counts[:2]) < 4 * min(counts[:2])
    assert max(longest) < 1.0
    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM t")).scalar_one() == sum(counts)
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


KILLED_INSIDE = """
import os, signal, sys, time
from dynflow_mp.persistence.turnstile import Turnstile

turnstile = Turnstile(sys.argv[1])
with turnstile.held():
    pass
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
with turnstile.held():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_inside_holds_nothing_through_a_forked_child(tmp_path: Path):
    path = f"{tmp_path}/plans.db"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_INSIDE, path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert parent.wait(30) == -signal.SIGKILL

            with Turnstile(path, deadline_s=5.0).held():
                os.kill(child, 0)  # while it lives
        finally:
            os.kill(child, signal.SIGKILL)


USED_IN_A_CHILD = """
import os, sys
from dynflow_mp.persistence.turnstile import Turnstile

inherited = Turnstile(sys.argv[1])
with inherited.held():
    pass
child = os.fork()
if child == 0:
    own = Turnstile(sys.argv[1])
    for turnstile in (own, inherited, own, inherited):
        with turnstile.held():
            pass
    inherited.close()
    with own.held():
        os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with inherited.held():
    print("in", end="")
"""


def test_a_forked_child_goes_through_doors_of_its_own(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", USED_IN_A_CHILD, f"{tmp_path}/plans.db"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "in", "")
