"""``dynflow-mp db``: the tables of a database, and whether this version works with them.

current     which version they are of                                  0
check       whether they can be worked with                            0 yes · 1 no
upgrade     make them so: create what is missing, migrate what is old  0
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from dynflow_mp.cli.groups import HelpfulGroup
from dynflow_mp.config import Config
from dynflow_mp.errors import ConfigError
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.opening import parsed_url, shown
from dynflow_mp.persistence.schema import REVISIONS, Standing, look
from dynflow_mp.persistence.schema import upgrade as upgrade_tables

_UPGRADE = "run: dynflow-mp db upgrade"
_ADVICE = {
    Standing.MISSING: f"there are no tables yet; a world that starts makes them, or {_UPGRADE}",
    Standing.HALF_MADE: f"their making was interrupted; a world that starts does it again, or {_UPGRADE}",
    Standing.OLDER: f"stop all worlds, then {_UPGRADE}",
    Standing.CURRENT: "",
    Standing.NEWER: "install a newer dynflow_mp",
}


@click.group(cls=HelpfulGroup)
def db() -> None:
    """The tables of a database: show, check, upgrade."""


def _database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--database",
        "database_url",
        metavar="URL",
        help="SQLAlchemy URL; by default DYNFLOW_DATABASE_URL, dynflow.toml or pyproject.toml say it.",
    )(command)


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")(command)


@db.command()
@_database_option
@_json_option
def current(database_url: str | None, as_json: bool) -> None:
    """Show of which version the tables are."""
    _tell(_found(_config(database_url)), as_json)


@db.command()
@_database_option
@_json_option
def check(database_url: str | None, as_json: bool) -> int:
    """Check whether this version works with the tables: exit status 0 if so, else 1."""
    found = _found(_config(database_url))
    _tell(found, as_json)
    return 0 if found["state"] == Standing.CURRENT else 1


@db.command()
@_database_option
def upgrade(database_url: str | None) -> None:
    """Make missing tables, bring older ones to this version. Current ones stay as they are."""
    with _opened(_config(database_url), hurried=False) as database:
        before, version = look(database)
        upgrade_tables(database)
        done = f"the tables are of version {REVISIONS[-1]}"
        if before is Standing.CURRENT:
            done += " already"
        elif before is Standing.OLDER:
            done += f", upgraded from {version}"
        else:
            done += ", newly made"
        click.echo(f"{database.url_text}: {done}")


def _found(config: Config) -> dict[str, Any]:
    url = parsed_url(config.database_url)
    name = url.database or ""
    if url.get_backend_name() == "sqlite" and Path(name).parent.is_dir() and not Path(name).exists():
        # To look is not to make: opening the file would.
        return _facts(shown(url), Standing.MISSING, None, ())
    with _opened(config) as database:
        return _facts(database.url_text, *look(database), database.remarks)


def _facts(url_text: str, standing: Standing, version: str | None, remarks: Any) -> dict[str, Any]:
    return {
        "database": url_text,
        "state": standing,
        "version": version,
        "wanted": REVISIONS[-1],
        "advice": _ADVICE[standing],
        "remarks": list(remarks),
    }


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    console = Console(soft_wrap=True, highlight=False)
    good = found["state"] == Standing.CURRENT
    version = f" of version {found['version']}" if found["version"] else ""
    state = (found["state"].value, "green" if good else "red")
    console.print(Text.assemble(f"{found['database']}: tables{version}: ", state))
    if not good:
        console.print(Text(f"this dynflow_mp works with version {found['wanted']}; {found['advice']}"))
    for remark in found["remarks"]:
        console.print(Text(f"warning: {remark}", style="yellow"))


def _config(database_url: str | None) -> Config:
    if database_url == "":
        raise ConfigError("--database is empty; it wants an SQLAlchemy URL such as sqlite:///dynflow.db")
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        config = Config.load({} if database_url is None else {"database_url": database_url})
    for doubt in doubts:
        click.echo(f"dynflow-mp: {doubt.message}", err=True)
    return config


@contextmanager
def _opened(config: Config, *, hurried: bool = True) -> Iterator[Database]:
    with _remarks_untold():
        database = Database(config.database_url, max_payload=config.max_payload, hurried=hurried)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _remarks_untold() -> Iterator[None]:
    """What the server's settings lack is told as text, once, and not in the log as well."""
    log = logging.getLogger("dynflow_mp.persistence")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
