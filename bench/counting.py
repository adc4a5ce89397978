"""What a process asks of its database: statements, rows, commits, and bytes written to storage.

That, not the clock, says how many processes one database will carry. The counts are taken where
SQLAlchemy hands a statement to the driver, and from the operating system's account of the process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

CHANGES = ("INSERT", "UPDATE", "DELETE")


class Counts:
    """Counts from the moment :meth:`install` is called; read with :meth:`so_far` from any thread."""

    def __init__(self) -> None:
        self.statements = self.executions = self.rows = self.commits = 0

    def install(self) -> None:
        """Count for every engine of this process, those not made yet included."""
        event.listen(Engine, "after_cursor_execute", self._executed)
        event.listen(Engine, "commit", self._committed)
        event.listen(Engine, "rollback", self._rolled_back)

    def so_far(self) -> dict[str, int]:
        return {
            "statements": self.statements,
            "executions": self.executions,
            "rows": self.rows,
            "commits": self.commits,
            "bytes": storage_bytes(),
        }

    def _executed(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        self.statements += 1
        self.executions += len(parameters) if executemany else 1
        if statement.lstrip()[:6].upper() in CHANGES:
            self.rows += max(cursor.rowcount, 0)
            connection.info["bench_changed"] = True

    def _committed(self, connection: Any) -> None:
        """Only commits that had something to write: the others cost no disk."""
        if connection.info.pop("bench_changed", False):
            self.commits += 1

    def _rolled_back(self, connection: Any) -> None:
        connection.info.pop("bench_changed", None)


def storage_bytes() -> int:
    """Bytes this process has had written to storage, as the kernel counts them (0 where it does not).

    With a database server it is the server that writes: see :mod:`bench.server_log`.
    """
    account = Path("/proc/self/io")
    if not account.exists():
        return 0
    fields = dict(line.split(": ") for line in account.read_text().splitlines())
    return int(fields["write_bytes"])


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was added between two readings."""
    return {name: after[name] - before[name] for name in after}
