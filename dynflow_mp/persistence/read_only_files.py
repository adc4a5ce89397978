"""An SQLite file that is only looked at: nothing is written to it or made beside it, and nobody stands in line for it.

the file and its log  ─▶ mode=ro               what others write meanwhile is seen
the file alone        ─▶ mode=ro, immutable    nobody has it open, so all there is is in the file

A connection is for one transaction, as what was so for one need not be so for the next. Completion has no time to import
SQLAlchemy, so nothing of it is here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynflow_mp.errors import PersistenceError

_BESIDE = ("-wal", "-journal")
"""Files in which a part of the data is while somebody has the database open, or has left it in a hurry."""


def connected(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection to the file, whose whole path this is; any thread may use it."""
    # Without a log SQLite would make one and leave it there, and could not where the directory cannot be written to.
    how = "mode=ro&immutable=1" if _is_alone(path) else "mode=ro"
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=timeout_s, check_same_thread=False)


@contextmanager
def undisturbed(path: Path, url_text: str) -> Iterator[None]:
    """Around what is read of a file: of one that was alone, it counts only if nobody has written to the file meanwhile.

    Raises :class:`PersistenceError`, which passes.
    """
    before = _look_of(path) if _is_alone(path) else None
    try:
        yield
    finally:
        if before is not None and _look_of(path) != before:
            raise PersistenceError(f"{url_text}: was written to while it was read; look again", "locked")


def _is_alone(path: Path) -> bool:
    return not any(Path(f"{path}{ending}").exists() for ending in _BESIDE)


def _look_of(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:  # it was taken away
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
