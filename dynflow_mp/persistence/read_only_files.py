"""An SQLite file that is only looked at: nothing is written to it or made beside it, and nobody stands in line for it.

the file and its log  ─▶ mode=ro               what others write meanwhile is seen
the file alone        ─▶ mode=ro, immutable    nobody has it open, so all there is is in the file

A connection is made for each transaction, as what was so for one need not be so for the next.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from dynflow_mp.persistence.opening import BUSY_TIMEOUT_S, begin_sqlite

_BESIDE = ("-wal", "-journal")
"""Files in which a part of the data is while somebody has the database open, or has left it in a hurry."""


def read_only_engine(url: URL) -> Engine:
    """An engine on the file that this URL names, with its whole path; nothing has been connected yet."""
    path = Path(str(url.database))
    engine = create_engine(
        url,
        creator=lambda: _connected(path),
        hide_parameters=True,  # in errors and their traces: they are users' data
        poolclass=NullPool,
    )
    event.listen(engine, "begin", begin_sqlite)
    return engine


def _connected(path: Path) -> sqlite3.Connection:
    # Without a log SQLite would make one, and could not where the directory cannot be written to.
    alone = not any(Path(f"{path}{ending}").exists() for ending in _BESIDE)
    how = "mode=ro&immutable=1" if alone else "mode=ro"
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    connection.isolation_level = None  # the module's own BEGINs come at the wrong moments
    return connection
