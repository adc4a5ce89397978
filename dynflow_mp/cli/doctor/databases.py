"""Whether the database is there, its tables are ours, its server fit, and its clock near ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dynflow_mp.cli.doctor.finding import NOTE, OK, WRONG, Finding
from dynflow_mp.cli.doctor.limits import room
from dynflow_mp.cli.opening import ADVICE
from dynflow_mp.cli.words import amount, span

if TYPE_CHECKING:
    from dynflow_mp.persistence.database import Database

_SECTION = "database"
_SKEW_S = 5.0
_LARGE_LOG = 1024**3


def tables(database: Database) -> Finding:
    """How its tables stand."""
    from dynflow_mp.persistence.schema import REVISIONS, look

    standing, version = look(database)
    value = f"{database.url_text}: {standing.value}" + (f", version {version}" if version else "")
    if standing.value == "current":
        return Finding(_SECTION, "tables", value)
    what = f"this dynflow_mp works with version {REVISIONS[-1]}"
    return Finding(_SECTION, "tables", value, WRONG, what, ADVICE[standing.value])


def server(database: Database) -> Iterator[Finding]:
    """What keeps the plans: a file and its disk, or a server and its clock."""
    for remark in database.remarks:
        yield Finding(_SECTION, "server's settings", "", WRONG, remark, "change it on the server")
    path = database.engine.url.database
    if database.is_sqlite and path is not None:
        yield from _file(Path(path))
        return
    from dynflow_mp.persistence.server_settings import version_and_skew

    with database.read() as connection:
        version, skew_s = version_and_skew(connection)
    yield Finding(_SECTION, "server", version)
    level = OK if abs(skew_s) <= _SKEW_S else WRONG
    ahead = "ahead of" if skew_s > 0 else "behind"
    yield Finding(
        _SECTION,
        "clock",
        f"{span(abs(skew_s))} {ahead} the server's",
        level,
        "" if level == OK else "plans start, and are tried again, by the clock of whoever has them",
        "" if level == OK else "keep the clocks of all machines alike (NTP)",
    )


def _file(path: Path) -> Iterator[Finding]:
    log = Path(f"{path}-wal")
    log_size = log.stat().st_size if log.exists() else 0
    value = f"{amount(path.stat().st_size)}, and {amount(log_size)} in its log"
    if log_size > _LARGE_LOG:
        what = "the log has not been moved into the file for long"
        advice = "a program that reads keeps a transaction open; find it (lsof), and end it"
        yield Finding(_SECTION, "file", value, NOTE, what, advice)
    else:
        yield Finding(_SECTION, "file", value)
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        what = "this user may look at it, and cannot run or change anything"
        yield Finding(
            _SECTION, "file", str(path), NOTE, what, "to do so, be the user whose supervisors write to it"
        )
    yield room(_SECTION, "the database", path.parent)


def clock() -> Finding:
    """Ours: a machine that does not know the time starts plans at the wrong one."""
    now = datetime.now(UTC)
    value = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year >= 2025:
        return Finding("limits", "clock", value)
    return Finding("limits", "clock", value, WRONG, "that was in the past", "set the clock (NTP)")
