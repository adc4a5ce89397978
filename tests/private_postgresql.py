"""A PostgreSQL server of a test's own, for what the shared one cannot be: strict, crowded, a standby, away.

It listens on a port of its own, runs as the user ``postgres`` (PostgreSQL refuses root) and is gone
with all its files afterwards. Without PostgreSQL's programs, tests are left out; in CI they fail.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SOMEWHERE = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"))
PASSWORD = "right & secret"
_STEP_S = 60


@dataclass(frozen=True)
class PrivatePostgreSQL:
    """A server that has been set up; ``start`` and ``stop`` may be repeated."""

    programs: Path
    directory: Path
    port: int

    def start(self, **settings: str) -> None:
        """Start it and wait until it answers; ``settings`` as in postgresql.conf."""
        given = {"port": str(self.port), "listen_addresses": "127.0.0.1", "fsync": "off", **settings}
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        options += f" -c unix_socket_directories={self.directory}"
        self._control("start", "--options", options, "--log", str(self.directory / "log"), "--wait")

    def stop(self) -> None:
        """Stop it at once, as a power failure would."""
        if (self.directory / "data" / "postmaster.pid").exists():
            self._control("stop", "--mode", "immediate", "--wait")

    def url(self, database: str = "postgres", user: str = "postgres", password: str = PASSWORD) -> str:
        """An URL of this server."""
        quoted = password.replace(" ", "%20").replace("&", "%26")
        return f"postgresql+psycopg://{user}:{quoted}@127.0.0.1:{self.port}/{database}"

    def become_standby(self) -> None:
        """From its next start on, follow a primary that does not exist."""
        run_as_postgres(["touch", str(self.directory / "data" / "standby.signal")])

    def _control(self, *arguments: str) -> None:
        run_as_postgres(
            [str(self.programs / "pg_ctl"), "--pgdata", str(self.directory / "data"), "--silent", *arguments]
        )


@contextmanager
def private_postgresql(**settings: str) -> Iterator[PrivatePostgreSQL]:
    """A running server that asks everybody for a password."""
    programs = _programs()
    directory = Path(tempfile.mkdtemp(prefix="dynflow_test_pg_", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    server = PrivatePostgreSQL(programs, directory, _free_port())
    try:
        _initialise(server)
        server.start(**settings)
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def run_as_postgres(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a program as the user who owns the server; its output is the failure's message."""
    as_postgres = {"user": "postgres", "group": "postgres", "extra_groups": ()} if os.getuid() == 0 else {}
    # To a file: the server inherits standard output, and a pipe would be read for as long as it lives.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=_STEP_S,
            cwd="/",
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", **(environment or {})},
            **as_postgres,  # type: ignore[call-overload]
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def _initialise(server: PrivatePostgreSQL) -> None:
    secret = server.directory / "password"
    secret.write_text(PASSWORD)
    if os.getuid() == 0:
        shutil.chown(secret, "postgres", "postgres")
    options = [
        "--auth=scram-sha-256",
        "--username=postgres",
        f"--pwfile={secret}",
        "--no-sync",
        "--no-locale",
    ]
    data = ["--encoding=UTF8", "--pgdata", str(server.directory / "data")]
    run_as_postgres([str(server.programs / "initdb"), *options, *data])


def _programs() -> Path:
    found = next((path for path in _SOMEWHERE if (path / "initdb").exists()), None)
    reason = "" if found else "PostgreSQL's own programs (initdb, pg_ctl) are not installed"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        reason = reason or ("there is no user postgres to run a server" if os.getuid() == 0 else "")
    if found is not None and not reason:
        return found
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
