"""Where an SQLite database can be, and what is said about places where it cannot."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dynflow_mp.errors import ConfigError, PersistenceError
from dynflow_mp.persistence import sqlite_files
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.sqlite_files import network_file_system

NOBODY = 65534


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_rule_2_7_a_database_in_memory_is_refused(url: str):
    with pytest.raises(ConfigError, match="name a file"):
        Database(url)


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(ConfigError, match="NUL"):
        Database("sqlite:///plans\0.db")


def test_a_name_that_is_too_long_is_one_clear_line(tmp_path: Path):
    assert "File name too long" in _refused(tmp_path / ("x" * 300))


def test_a_missing_directory_is_one_clear_line(tmp_path: Path):
    assert f"there is no directory {tmp_path}/nowhere" in _refused(tmp_path / "nowhere" / "plans.db")


def test_a_directory_is_no_database(tmp_path: Path):
    assert "is a directory" in _refused(tmp_path)


def test_a_pipe_is_no_database(tmp_path: Path):
    os.mkfifo(tmp_path / "plans.db")

    assert "is no ordinary file" in _refused(tmp_path / "plans.db")


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path):
    (tmp_path / "plans.db").write_text("not a database, but a letter to one" * 50)

    assert "the file is no SQLite database, or is damaged or encrypted" in _refused(tmp_path / "plans.db")


def test_the_file_is_the_same_wherever_the_process_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///plans.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    database.close()

    assert not (tmp_path / "elsewhere" / "plans.db").exists()


# -- rights ------------------------------------------------------------------------------------------


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that another user can get into, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="dynflow_test_", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_a_file_that_may_only_be_read_is_refused(open_to_all: Path):
    path = open_to_all / "plans.db"
    sqlite3.connect(path).close()
    path.touch()
    open_to_all.chmod(0o777)
    path.chmod(0o444)

    told = _told_without_rights(path)

    assert told.startswith("readonly cannot open sqlite:///")
    assert f"{path} cannot be read and written by this user" in told


def test_a_directory_that_may_only_be_read_is_refused_since_the_log_is_beside_the_file(open_to_all: Path):
    path = open_to_all / "plans.db"
    path.touch()
    path.chmod(0o666)
    open_to_all.chmod(0o555)

    told = _told_without_rights(path)

    assert told.startswith("readonly cannot open sqlite:///")
    assert (
        f"{open_to_all} cannot be written to, but SQLite keeps its log and its locks beside the file" in told
    )


def test_a_directory_that_may_not_be_entered_is_refused(open_to_all: Path):
    inner = open_to_all / "mine"
    inner.mkdir(mode=0o700)
    open_to_all.chmod(0o755)
    if os.getuid() != 0:
        inner.chmod(0)

    told = _told_without_rights(inner / "plans.db")

    inner.chmod(0o700)
    assert "Permission denied" in told


def _told_without_rights(path: Path) -> str:
    """What a process hears whom the modes of files hold back: nobody, or whoever runs the tests."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# Python itself may be where nobody may read: all that is needed is imported before.
_AS_NOBODY = f"""
import os, sys
import sqlalchemy
from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.database import Database

sqlalchemy.create_engine("sqlite://").connect().close()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
try:
    Database(sys.argv[1])
except PersistenceError as error:
    print(error.kind, error)
"""


# -- network file systems ----------------------------------------------------------------------------

_MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:50 / /home rw,relatime shared:7 master:2 - nfs4 server:/export rw,vers=4.2
41 40 0:51 / /home/local rw,relatime - xfs /dev/vdb rw
42 27 0:52 / /mnt/with\\040space rw - cifs //server/share rw
43 27 0:53 / /mnt/ssh rw - fuse.sshfs user@host:/ rw
44 27 0:54 / /mnt/disk rw - fuseblk /dev/sdb1 rw
45 27 0:55 / /mnt/crypt rw - fuse.gocryptfs /home/crypt rw
46 27 0:56 / /mnt/windows rw - 9p C:\\134 rw
47 27 0:57 / /mnt/covered rw - nfs server:/old rw
48 47 0:58 / /mnt/covered rw - ext4 /dev/vdc rw
nonsense
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/lib", None),
        ("/home/anna", "nfs4"),
        ("/home/local/anna", None),
        ("/homes", None),
        ("/mnt/with space/x", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/disk", None),
        ("/mnt/crypt", None),
        ("/mnt/windows/plans", "9p"),
        ("/mnt/covered", None),
    ],
)
def test_network_file_systems_are_known_by_the_mount_that_is_nearest(
    directory: str, kind: str | None, tmp_path: Path
):
    (tmp_path / "mountinfo").write_text(_MOUNTS)

    assert network_file_system(Path(directory), tmp_path / "mountinfo") == kind


def test_where_nobody_tells_the_mounts_every_place_is_taken_for_local(tmp_path: Path):
    assert network_file_system(tmp_path, tmp_path / "missing") is None


def test_rule_2_7_a_database_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mountinfo").write_text(f"40 27 0:50 / {tmp_path} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(sqlite_files, "_MOUNTS", tmp_path / "mountinfo")

    line = _refused(tmp_path / "plans.db")

    assert f"{tmp_path} is on a network file system (nfs4)" in line
    assert "use a local disk, or PostgreSQL or MariaDB" in line
    assert not (tmp_path / "plans.db").exists()


# -- full disks --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"no small disk: {mounted.stderr.decode()}", pytrace=False)
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_g28_a_full_disk_is_named_passes_and_damages_nothing(small_disk: Path):
    database = Database(f"sqlite:///{small_disk}/plans.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (data BLOB)"))
    (small_disk / "ballast").write_bytes(bytes(500_000))

    with pytest.raises(PersistenceError) as failed:
        _fill(database)
    stored = _count(database)
    (small_disk / "ballast").unlink()
    _add(database)

    assert (failed.value.kind, failed.value.passes) == ("disk_full", True)
    assert _count(database) == stored + 1
    with database.read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    database.close()


def test_g28_a_database_on_a_disk_that_is_full_already_says_so(small_disk: Path):
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(2_000_000))

    with pytest.raises(PersistenceError) as failed:
        prepare(Database(f"sqlite:///{small_disk}/plans.db"))
    ballast.unlink()
    database = Database(f"sqlite:///{small_disk}/plans.db")
    prepare(database)

    database.close()
    assert failed.value.kind == "disk_full"


def _fill(database: Database) -> None:
    for _ in range(200):
        _add(database)


def _add(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO t VALUES (zeroblob(20000))"))


def _count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM t")).scalar_one())


def _refused(path: Path) -> str:
    with pytest.raises(PersistenceError) as refused:
        Database(f"sqlite:///{path}")
    line = str(refused.value)
    assert "\n" not in line
    return line
