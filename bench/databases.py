"""A fresh database for every run: nothing measured rests on what an earlier run left."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

SQLITE = "sqlite"


@contextmanager
def fresh(wanted: str) -> Iterator[str]:
    """The URL of an empty database, gone afterwards.

    ``sqlite``: a file in a temporary directory (``TMPDIR`` says where; it should be a real disk). A
    server's URL: a database of our own beside the one named.
    """
    if wanted == SQLITE or wanted.startswith("sqlite:"):
        beside = Path(make_url(wanted).database or ".").parent if wanted != SQLITE else None
        with tempfile.TemporaryDirectory(prefix="dynflow-bench-", dir=beside) as directory:
            yield f"sqlite:///{directory}/bench.db"
        return
    with server_database(make_url(wanted)) as url:
        yield url.render_as_string(hide_password=False)


@contextmanager
def server_database(url: URL) -> Iterator[URL]:
    """A new database on the server of ``url``."""
    name = f"dynflow_bench_{os.getpid()}_{uuid4().hex[:8]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield url.set(database=name)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name}"))
    finally:
        engine.dispose()


def kind(wanted: str) -> str:
    """What the database is called in the results: ``sqlite``, ``postgresql`` …"""
    return SQLITE if wanted == SQLITE else make_url(wanted).get_backend_name()
