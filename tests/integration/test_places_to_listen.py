"""Where a socket may be put: never in the place of what is somebody else's."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynflow_mp.connectors.endpoints import Place
from dynflow_mp.errors import ConnectorError


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not below pytest's own: its path may be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="place-") as name:
        yield Path(name)


def test_a_file_that_is_there_is_refused_and_left_alone(directory: Path) -> None:
    path = directory / "orders"
    path.write_text("precious")

    with pytest.raises(ConnectorError, match=f"{path} is there already and is no socket; choose another"):
        Place.claim(f"ipc://{path}")

    assert path.read_text() == "precious"
    assert [entry.name for entry in directory.iterdir()] == ["orders"]


def test_a_lock_file_of_somebody_else_is_refused_and_left_alone(directory: Path) -> None:
    """``poetry.lock``, for one."""
    lock = directory / "poetry.lock"
    lock.write_text("a long list of packages")

    with pytest.raises(ConnectorError, match=f"{lock} is there already and is no lock of ours"):
        Place.claim(f"ipc://{directory}/poetry")

    assert lock.read_text() == "a long list of packages"


def test_a_link_is_not_followed(directory: Path) -> None:
    (directory / "target").write_text("precious")
    (directory / "world").symlink_to(directory / "target")
    (directory / "other.lock").symlink_to(directory / "target")

    for name in ("world", "other"):
        with pytest.raises(ConnectorError, match=f"ipc://{directory}/{name}"):
            Place.claim(f"ipc://{directory}/{name}")

    assert (directory / "target").read_text() == "precious"


def test_another_program_s_socket_is_refused(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{directory}/world")
        other.listen()

        with pytest.raises(ConnectorError, match=f"another program listens on {directory}/world"):
            Place.claim(f"ipc://{directory}/world")

    assert stat.S_ISSOCK((directory / "world").stat().st_mode)


def test_a_directory_that_everybody_may_write_to_is_refused_unless_it_is_sticky(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(ConnectorError, match=f"chmod o-w {directory}"):
        Place.claim(f"ipc://{directory}/world")

    directory.chmod(0o1777)
    Place.claim(f"ipc://{directory}/world").release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    os.chown(directory, 65534, 65534)

    with pytest.raises(ConnectorError, match=f"{directory} belongs to another user"):
        Place.claim(f"ipc://{directory}/world")


def test_a_directory_that_is_missing_is_made_for_us_alone(directory: Path) -> None:
    Place.claim(f"ipc://{directory}/run/world").release()

    assert stat.S_IMODE((directory / "run").stat().st_mode) == 0o700


def test_a_path_below_a_file_says_so(directory: Path) -> None:
    (directory / "file").touch()

    with pytest.raises(ConnectorError, match=f"ipc://{directory}/file/world cannot be listened on"):
        Place.claim(f"ipc://{directory}/file/world")


def test_without_any_temporary_directory_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent/directory")

    with pytest.raises(ConnectorError, match="TMPDIR names where"):
        Place.claim(None)


PRIVILEGED = """
import os, sys
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.errors import ConnectorError

class World:
    world_id, takes_work = "x", True

if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    ZeroMQConnector(None, "tcp://127.0.0.1:81").start_listening(World())
except ConnectorError as error:
    print(error)
"""


def test_a_privileged_port_says_what_to_do() -> None:
    first_free = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first_free.exists() and int(first_free.read_text()) <= 81:
        pytest.skip("every port is for everybody here")

    done = subprocess.run([sys.executable, "-c", PRIVILEGED], capture_output=True, text=True, timeout=60)

    assert done.stdout == (
        "tcp://127.0.0.1:81 cannot be listened on: Permission denied; "
        "ports below 1024 are for privileged users; choose a higher one for listen, or * for any free one\n"
    ), done.stderr
