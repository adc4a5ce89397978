"""``dynflow-mp db``: the tables of a database, and whether this version works with them.

current     which version they are of                                  0
check       whether they can be worked with                            0 yes · 1 no
upgrade     make them so: create what is missing, migrate what is old  0
"""

from __future__ import annotations

from typing import Any

import click

from dynflow_mp.cli.groups import HelpfulGroup
from dynflow_mp.cli.opening import ADVICE, Where, missing_file, opened
from dynflow_mp.cli.options import database_option, prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.config import Config


@click.group(cls=HelpfulGroup)
def db() -> None:
    """The tables of a database: show, check, upgrade."""


@db.command()
@database_option
@prints
def current(database_url: str | None, terminal: Terminal) -> None:
    """Show of which version the tables are."""
    _tell(standing_of(Where(database_url).config()), terminal)


@db.command()
@database_option
@prints
def check(database_url: str | None, terminal: Terminal) -> int:
    """Check whether this version works with the tables: exit status 0 if so, else 1."""
    found = standing_of(Where(database_url).config())
    _tell(found, terminal)
    return 0 if found["state"] == "current" else 1


@db.command()
@database_option
@prints
def upgrade(database_url: str | None, terminal: Terminal) -> None:
    """Make missing tables, bring older ones to this version. Current ones stay as they are."""
    from dynflow_mp.persistence.schema import REVISIONS, Standing, look
    from dynflow_mp.persistence.schema import upgrade as upgrade_tables

    with opened(Where(database_url).config(), to_change=True) as database:
        before, version = look(database)
        upgrade_tables(database)
        done = f"the tables are of version {REVISIONS[-1]}"
        if before is Standing.CURRENT:
            done += " already"
        elif before is Standing.OLDER:
            done += f", upgraded from {version}"
        else:
            done += ", newly made"
        terminal.line(f"{database.url_text}: {done}")
        if terminal.as_json:
            terminal.json(
                {
                    "database": database.url_text,
                    "version": REVISIONS[-1],
                    "before": {"state": before.value, "version": version},
                }
            )


def standing_of(config: Config) -> dict[str, Any]:
    """How the tables stand, as ``--json`` says it. To look is not to make: no file is made for it."""
    from dynflow_mp.persistence.schema import look

    missing = missing_file(config)
    if missing is not None:
        return _facts(missing, "missing", None, ())
    with opened(config) as database:
        standing, version = look(database)
        return _facts(database.url_text, standing.value, version, database.remarks)


def _facts(url_text: str, standing: str, version: str | None, remarks: Any) -> dict[str, Any]:
    from dynflow_mp.persistence.schema import REVISIONS

    return {
        "database": url_text,
        "state": standing,
        "version": version,
        "wanted": REVISIONS[-1],
        "advice": ADVICE[standing],
        "remarks": list(remarks),
    }


def _tell(found: dict[str, Any], terminal: Terminal) -> None:
    if terminal.as_json:
        terminal.json(found)
        return
    good = found["state"] == "current"
    version = f" of version {found['version']}" if found["version"] else ""
    terminal.line(f"{found['database']}: tables{version}: ", (found["state"], "green" if good else "red"))
    if not good:
        terminal.line(f"this dynflow_mp works with version {found['wanted']}; {found['advice']}")
    for remark in found["remarks"]:
        terminal.line((f"warning: {remark}", "yellow"))
