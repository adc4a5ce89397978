"""The one database of a simulation: the engine's own SQL on SQLite, in memory, and what may go wrong on the way to it.

a world's call ─▶ on its way (others have their turn) ─▶ the transaction, whole ─▶ on its way back ─▶ the answer
                    stalled, refused                       committed, or not        lost: nobody knows
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from dynflow_mp.errors import PersistenceError
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence import schema
from dynflow_mp.persistence.database import Database, Fence
from dynflow_mp.persistence.opening import WRITING, begin_sqlite, new_engine, parsed_url
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import metadata, schema_version
from tests.simulation.threads import here, kernel

_MEMORY = "/dev/shm"
_ON_ITS_WAY_S = (0.0003, 0.004)


@dataclass
class Weather:
    """What goes wrong between one process and the database, and until when (true time)."""

    away_until: float = 0.0
    stalled_until: float = 0.0
    refused: float = 0.0
    """How likely a transaction is rolled back, as after a deadlock or when the connection is lost before it was committed."""
    unknown: float = 0.0
    """How likely a commit is carried out and its answer is lost."""


class SharedFile:
    """The file itself: one for all simulations of this process, emptied for each."""

    _only: SharedFile | None = None

    @classmethod
    def of_this_process(cls) -> SharedFile:
        if cls._only is None:
            cls._only = SharedFile()
        return cls._only

    def __init__(self) -> None:
        base = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
        self._directory = tempfile.TemporaryDirectory(prefix="dynflow-sim-", dir=base)
        self.url = f"sqlite:///{Path(self._directory.name) / 'plans.db'}"
        made = Database(self.url)
        schema.prepare(made)
        made.close()
        self.engine = new_engine(parsed_url(self.url))
        event.listen(self.engine, "connect", _in_a_hurry)
        self.writer = self.engine.connect().execution_options(**{WRITING: True})
        # Nobody writes between the statements of a read: it needs no transaction.
        reading = new_engine(parsed_url(self.url))
        reading.dialect.do_commit = reading.dialect.do_rollback = _nothing_to_end  # type: ignore[method-assign]
        event.remove(reading, "begin", begin_sqlite)
        self.reader = reading.connect()
        tables = [table for table in reversed(metadata.sorted_tables) if table is not schema_version]
        self._emptying = [f'DELETE FROM "{table.name}"' for table in tables]
        self.raw: Any = self.reader.connection.driver_connection
        """For looking in without anybody noticing: outside of simulated time."""

    def empty(self) -> None:
        """As new."""
        with self.writer.begin():
            cursor = self.writer.connection.cursor()
            for statement in self._emptying:
                cursor.execute(statement)


def _nothing_to_end(_connection: Any) -> None:
    """Of a transaction that was not begun."""


def _in_a_hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class Journal:
    """What was committed, by whom, and when."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, str, list[Write]]] = []
        self.commits = 0
        self.of_the_dead: list[str] = []
        """Turns of worlds that had been declared dead before."""
        self.unjustified: list[str] = []
        """Worlds that were declared dead and were neither dead nor silent."""
        self.faults: dict[str, int] = {}

    def fault(self, kind: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1


class SimulatedDatabase(Database):
    """One process's way to the database."""

    journal: Journal
    """Of the simulation that goes on."""
    faults: dict[int, Weather]
    """By pid."""

    def __init__(self, url: str, *, max_payload: int = 0, hurried: bool = True) -> None:
        self._shared = SharedFile.of_this_process()
        self.url_text, self.remarks, self.is_sqlite = url, (), True
        self.engine = self._shared.engine
        self._driver_error = self.engine.dialect.loaded_dbapi.Error
        self._closed = False
        self.process = here().process
        self._weather = self.faults.setdefault(self.process.pid, Weather())
        self.turn: list[tuple[Sequence[Write], frozenset[str]]] = []
        """What the transaction that is going on writes about plans."""

    @property
    def waited_s(self) -> float:
        return 0.0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if kernel().atomic:  # a look from inside a write transaction: as others see it
            with self._named_errors(), self._shared.reader.begin():
                yield self._shared.reader
            return
        self._get_there()
        with self._named_errors(), self._shared.reader.begin():
            kernel().atomic = True
            try:
                yield self._shared.reader
            finally:
                kernel().atomic = False
        kernel().pause(*_ON_ITS_WAY_S)

    @contextmanager
    def write(self, fence: Fence | None = None) -> Iterator[Connection]:
        if self._closed:
            raise PersistenceError("this world has closed the database")
        self._get_there()
        chance, weather = kernel().chance, self._weather
        refused = weather.refused > 0 and chance.random() < weather.refused
        self.turn = []
        with self._named_errors(), self._shared.writer.begin():
            kernel().atomic = True
            try:
                if fence is not None:
                    fence(self._shared.writer)
                yield self._shared.writer
                if refused:
                    self.journal.fault("transaction refused")
                    raise PersistenceError(
                        "given up by the database", chance.choice(("locked", "connection"))
                    )
            finally:
                kernel().atomic = False
        self._committed()
        if weather.unknown > 0 and chance.random() < weather.unknown:
            self.journal.fault("unknown commit")
            kernel().say(self.process.name, "commit carried out, its answer lost")
            kernel().pause(0.01, 0.5)
            raise PersistenceError("the connection was lost during the commit", "connection")
        kernel().pause(*_ON_ITS_WAY_S)

    def _get_there(self) -> None:
        """The way to the server, which may be long, or lead nowhere."""
        kernel().pause(*_ON_ITS_WAY_S)
        weather = self._weather
        while weather.stalled_until > kernel().now:
            kernel().wait(weather.stalled_until - kernel().now + 0.001)
        if weather.away_until > kernel().now:
            kernel().pause(0.05, 0.5)
            raise PersistenceError("the database cannot be reached", "connection")

    def _committed(self) -> None:
        journal = self.journal
        journal.commits += 1
        written, self.turn = self.turn, []
        for writes, lost in written:
            kept = [write for write in writes if write.plan_id not in lost]
            if kernel().tracing:
                for write in kept:
                    kernel().say(self.process.name, f"stored {_shown(write)}")
            journal.turns.append((kernel().now, self.process.name, kept))
            self._look_who_writes(kept)

    def _look_who_writes(self, writes: list[Write]) -> None:
        world_id = getattr(self.process, "world_id", None)
        found = rows(
            "SELECT state FROM dynflow_coordinator_records WHERE owner_id IS NULL AND id = ?", (world_id,)
        )
        if writes and (not found or found[0][0] == "dead"):
            what = ", ".join(sorted({write.plan_id for write in writes}))
            self.journal.of_the_dead.append(f"{self.process.name} wrote about {what} when its world was dead")

    def close(self) -> None:
        self._closed = True

    def _check_process(self) -> None:
        """It is the simulated process's own."""


class SimulatedStore(Store):
    """The engine's store; what a turn writes is noted for when it is committed."""

    def write_turn(self, connection: Connection, writes: Sequence[Write]) -> frozenset[str]:
        lost = super().write_turn(connection, writes)
        self.database.turn.append((list(writes), lost))  # type: ignore[attr-defined]
        return lost


def rows(query: str, parameters: Collection[Any] = ()) -> list[tuple[Any, ...]]:
    """What is in the database now, read by the simulation itself."""
    found: list[tuple[Any, ...]] = (
        SharedFile.of_this_process().raw.execute(query, tuple(parameters)).fetchall()
    )
    return found


def _shown(write: Write) -> str:
    fields = {
        name: value
        for name, value in write._asdict().items()
        if name
        in ("epoch", "epoch_read", "step_id", "attempt", "state", "from_state", "to_state", "ids", "id")
    }
    told = " ".join(f"{name}={value}" for name, value in fields.items())
    return f"{type(write).__name__} {write.plan_id[-6:]} {told}"
