"""A fresh database for every run: nothing measured rests on what an earlier run left."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bench.site import Site
from bench.sweeper import drop_statement

SQLITE, POSTGRESQL, MYSQL = "sqlite", "postgresql", "mysql"
SERVERS = {
    POSTGRESQL: ("BENCH_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"),
    MYSQL: ("BENCH_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
}
"""Where a server is that is named by its kind alone: a variable of the environment, else its usual port."""


def url_of(wanted: str) -> str:
    """``sqlite`` as it is; a kind of server becomes its URL; a URL stays what it is."""
    if wanted in SERVERS:
        variable, usual = SERVERS[wanted]
        return os.environ.get(variable, usual)
    return wanted


@contextmanager
def fresh(wanted: str, site: Site) -> Iterator[str]:
    """The URL of an empty database, gone afterwards.

    ``sqlite``: a file in the site's directory (``TMPDIR`` says where; it should be a real disk). A
    server's URL: a database of our own beside the one named.
    """
    if wanted == SQLITE or wanted.startswith("sqlite:"):
        with sqlite_directory(wanted, site) as directory:
            yield f"sqlite:///{directory}/bench.db"
        return
    with server_database(make_url(wanted), site) as url:
        yield url.render_as_string(hide_password=False)


@contextmanager
def sqlite_directory(wanted: str, site: Site) -> Iterator[str]:
    """A directory for the file: ours, or a new one beside the file that ``wanted`` names."""
    directory = site.directory
    if wanted != SQLITE:
        directory = Path(make_url(wanted).database or ".").absolute().parent / site.name()
        site.will_use(directory=str(directory))
        directory.mkdir()
    with tempfile.TemporaryDirectory(prefix="db-", dir=directory) as path:
        yield path


@contextmanager
def server_database(url: URL, site: Site) -> Iterator[URL]:
    """A new database on the server of ``url``."""
    site.will_use(server=url.render_as_string(hide_password=False))
    name = site.name()
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield url.set(database=name)
        finally:
            with engine.connect() as connection:
                connection.execute(text(drop_statement(engine.dialect.name, name)))
    finally:
        engine.dispose()


def kind(wanted: str) -> str:
    """What the database is called in the results: ``sqlite``, ``postgresql`` …"""
    return SQLITE if wanted == SQLITE else make_url(wanted).get_backend_name()


def why_not(wanted: str) -> str | None:
    """Why this database cannot be used, in one line; None when it answers."""
    if wanted == SQLITE or wanted.startswith("sqlite:"):
        return None
    try:
        engine = create_engine(wanted)
    except ModuleNotFoundError as error:
        return f"the driver {error.name} is not installed"
    except ArgumentError as error:
        return str(error)
    try:
        with engine.connect():
            return None
    except SQLAlchemyError as error:
        where = make_url(wanted).render_as_string(hide_password=True)
        return f"no server answers at {where} ({type(error).__name__})"
    finally:
        engine.dispose()
