"""Waits for the end of a bench run and removes what it left: processes, databases, directories.

``python -m bench.sweeper TOKEN DIRECTORY``; each line of standard input is a JSON object that names a
``server`` on which databases are made or a further ``directory``; the end of the input is the end of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from time import monotonic

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.site import TOKEN, prefix

KILL_S = 20.0


def main(token: str, directory: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of the input is what ends us
    servers: dict[str, None] = {}
    directories = [directory]
    for line in sys.stdin:
        told = json.loads(line)
        if "server" in told:
            servers[told["server"]] = None
        else:
            directories.append(told["directory"])
    kill_marked(token)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)
    for server in servers:
        try:
            drop_databases(server, prefix(token))
        except (SQLAlchemyError, ImportError) as error:
            print(f"databases {prefix(token)}* may be left on a server: {error}", file=sys.stderr)


def kill_marked(token: str) -> None:
    """Kill every process that carries the token, until there is none: a dying one may start another."""
    deadline = monotonic() + KILL_S
    while (found := marked(token)) and monotonic() < deadline:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=1.0)


def marked(token: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if token_of(process) == token]


def token_of(process: psutil.Process) -> str | None:
    """The run this process belongs to, if it is ours to ask."""
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return None
        token: str | None = process.environ().get(TOKEN)
        return token
    except (psutil.Error, OSError):
        return None


def drop_databases(server: str, beginning: str) -> None:
    """Drop every database of this server whose name begins so."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            found = connection.execute(text(LISTED[engine.dialect.name])).scalars()
            for name in [name for name in found if name.startswith(beginning)]:
                connection.execute(text(drop_statement(engine.dialect.name, name)))
    finally:
        engine.dispose()


LISTED = {
    "postgresql": "SELECT datname FROM pg_database",
    "mysql": "SHOW DATABASES",
    "mariadb": "SHOW DATABASES",
}


def drop_statement(dialect: str, name: str) -> str:
    """PostgreSQL drops no database that someone is connected to, unless it is told to end them."""
    return f"DROP DATABASE {name}" + (" WITH (FORCE)" if dialect == "postgresql" else "")


if __name__ == "__main__":
    main(*sys.argv[1:3])
