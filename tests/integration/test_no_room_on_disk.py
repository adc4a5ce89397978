"""G28: limits, quotas and file systems that take nothing more: named, nothing half stored, and writing goes on later."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.database import Database

_WITH_A_LIMIT = """
import resource, sys
from sqlalchemy import text
from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.database import Database

database = Database(sys.argv[1])
with database.write() as connection:
    connection.execute(text("CREATE TABLE t (data BLOB)"))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
stored = 0
try:
    while True:
        with database.write() as connection:
            connection.execute(text("INSERT INTO t VALUES (zeroblob(20000))"))
        stored += 1
except PersistenceError as error:
    print(error.kind, error)
with database.read() as connection:
    assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == stored
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with database.write() as connection:
    connection.execute(text("INSERT INTO t VALUES (zeroblob(20000))"))
with database.read() as connection:
    assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == stored + 1
    print(connection.execute(text("PRAGMA integrity_check")).scalar_one())
database.close()
"""


def test_g28_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path):
    """``ulimit -f``: SQLite itself only says "disk I/O error"."""
    done = subprocess.run(
        [sys.executable, "-c", _WITH_A_LIMIT, f"sqlite:///{tmp_path}/plans.db"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    named, integrity = done.stdout.splitlines()
    assert named.startswith("disk_full sqlite:///")
    assert named.endswith("no file of this process may be larger than 500,000 bytes (ulimit -f)")
    assert integrity == "ok"


def test_g28_a_file_system_that_becomes_read_only_refuses_writes_and_takes_them_again(tmp_path: Path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"no small disk: {mounted.stderr.decode()}", pytrace=False)
        pytest.skip("only root can mount a file system")
    try:
        _goes_read_only_and_back(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _goes_read_only_and_back(place: Path) -> None:
    url = f"sqlite:///{place}/plans.db"
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (data BLOB)"))
    database.close()
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)

    with pytest.raises(PersistenceError) as refused:
        Database(url)
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (zeroblob(20000))"))

    with database.read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    database.close()
    assert refused.value.kind == "readonly"
