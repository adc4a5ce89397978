"""Whatever comes from a socket or a row is read, or refused in one way; nothing else happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import DamagedData, DataError, DynflowError, ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.messages import (
    Accepted,
    Drain,
    Envelope,
    Event,
    Execution,
    ExecutionStatus,
    Failed,
    Ping,
    Told,
    Workers,
    WorkersTold,
)
from dynflow_mp.model.planned_codec import plan_from_bytes, plan_to_bytes
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import StepState
from dynflow_mp.model.sub_plans import Briefing, Ending, NewSubPlan, Orders
from dynflow_mp.model.work import (
    Errand,
    ErrandOutcome,
    ErrorRecord,
    FinalizeJob,
    FinalizePart,
    OutputChunk,
    PlannedEvent,
    StepJob,
    StepOutcome,
)
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import metadata
from dynflow_mp.reading.concealment import shown, shown_error
from dynflow_mp.reading.library import Library
from tests.fuzzing.mutation import SECONDS, SEED, mutated, tried
from tests.integration.storage.stored_plans import PLAN, WORLD, a_plan, claim, mark, outcome, run_step

VALUES = [
    {"name": "a", "list": [1, 2.5, None, True, b"x", {"deep": [[]]}], "text": "ü€𝄞", "big": 2**63},
    [
        datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        date(2030, 1, 2),
        UUID(int=7),
        Decimal("1.50"),
        next(iter(Signal)),
    ],
    {str(number): number for number in range(20)},
    "text",
    -1,
]
STEP = StepOutcome(
    1, StepState.SUCCESS, 7, 0.5, 1.0, None, b"\x80", b"\x80", b"\x94", (), False, (), (), None
)
CODEC = [encode(value, "value") for value in VALUES]
PLANS = [plan_to_bytes(a_plan()), plan_to_bytes(a_plan(finalize=True))]
FRAMES = [
    wire.encode_jobs(
        [(1, StepJob("plan", 1, 1, 1, "a.B", b"\x80", b"\x90", {1: b"\x80"}, b"\x80", b"\xc0"))]
    ),
    wire.encode_jobs(
        [(2, FinalizeJob("plan", (FinalizePart(1, 1, 1, "a.B", b"\x80", None, None),), {1: b"x"}))]
    ),
    wire.encode_jobs([(3, Errand("plan", 1, "plan", "a.B", b"\x80"))]),
    wire.encode_outcomes([(1, STEP), (2, (STEP, STEP)), (3, ErrandOutcome("plan", 0.1, b"x", None))]),
    wire.encode_outcomes(
        [
            (
                1,
                STEP._replace(
                    events=(PlannedEvent("plan", 1, b"\xc0", 1.5, True),),
                    plans=(NewSubPlan("plan", True, PLANS[0]).to_bytes(),),
                    chunks=(OutputChunk(b"\x80", "log", 7, 1),),
                    orders=Orders(("plan",), Ending.CANCEL).to_bytes(),
                ),
            )
        ]
    ),
    wire.encode_hello(wire.Hello(b"t" * 32, 1, 7)),
    wire.encode_recall([1, 2, 3]),
    wire.encode_recalled([4]),
    wire.encode_ping(1),
    wire.encode_pong(2),
    wire.encode_stop(),
    wire.encode_stop_step(wire.StepToStop(1, "halted", "words")),
    wire.encode_chunks(1, 2, (OutputChunk(b"\x80", None, 7, 1),)),
    wire.encode_chunks_heard(1, 2),
]
READERS: list[Callable[[bytes], Any]] = [
    *(wire.decode_jobs, wire.decode_outcomes, wire.decode_hello, wire.decode_recall, wire.decode_recalled),
    *(
        wire.decode_ping,
        wire.decode_pong,
        wire.decode_stop_step,
        wire.decode_chunks,
        wire.decode_chunks_heard,
    ),
    wire.kind_of,
]
ENVELOPES = [
    Envelope("c", "x", "c-1", message).to_bytes()
    for message in (
        *(Execution("plan", "slow"), Event("plan", 1, b"data", True, 1.5), Ping(), Accepted(), Told([1, 2])),
        *(Failed("PlanStopped", "words", "plan"), ExecutionStatus({"default": {"pool_size": 1}})),
        *(Workers(), Drain(), WorkersTold({"queues": [], "workers": [{"id": "w1", "pid": 1}]})),
    )
]


def test_fuzzed_data_is_plain_or_damaged() -> None:
    def attempt(data: bytes) -> None:
        with suppress(DamagedData):
            value = decode(data)
            with suppress(DataError):  # what nobody could have stored: a NaN, say
                assert repr(decode(encode(value, "value"))) == repr(value)

    assert tried(CODEC, attempt) > 100 * SECONDS


def test_fuzzed_frames_are_read_or_protocol_errors() -> None:
    def attempt(data: bytes) -> None:
        for read in READERS:
            with suppress(ProtocolError):
                read(data)

    assert tried(FRAMES, attempt) > 100 * SECONDS


def test_fuzzed_envelopes_are_read_or_protocol_errors() -> None:
    def attempt(data: bytes) -> None:
        with suppress(ProtocolError):
            envelope = Envelope.from_bytes(data)
            with suppress(DataError):
                Envelope.from_bytes(envelope.to_bytes())
            if isinstance(envelope.message, Failed):
                assert isinstance(envelope.message.to_error(), DynflowError)

    assert tried(ENVELOPES, attempt) > 100 * SECONDS


STORED: list[tuple[Callable[[bytes], Any], list[bytes]]] = [
    (plan_from_bytes, PLANS),
    (NewSubPlan.from_bytes, [NewSubPlan("plan", True, b"x").to_bytes()]),
    (Orders.from_bytes, [Orders(("a", "b"), None).to_bytes()]),
    (Briefing.from_bytes, [Briefing().to_bytes()]),
    (ErrorRecord.from_bytes, [ErrorRecord("ValueError", "words", ("a line",), "signal(9)").to_bytes()]),
]


@pytest.mark.parametrize(("read", "corpus"), STORED, ids=lambda given: getattr(given, "__qualname__", ""))
def test_fuzzed_values_are_read_or_damaged(
    read: Callable[[bytes], Any], corpus: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzzing.mutation.SECONDS", SECONDS / len(STORED))

    def attempt(data: bytes) -> None:
        with suppress(DamagedData):
            read(data)

    assert tried(corpus, attempt) > 10


# -- rows ----------------------------------------------------------------------------------------------

COLUMNS = [
    *(("dynflow_execution_plans", name) for name in ("run_flow", "finalize_flow", "history", "policies")),
    *(("dynflow_execution_plans", name) for name in ("dependencies", "state", "result")),
    *(("dynflow_steps", name) for name in ("error", "children", "state", "phase", "action_class", "queue")),
    *(("dynflow_actions", name) for name in ("input", "references", "action_class")),
    *(("dynflow_outputs", "output"), ("dynflow_step_attempts", "error")),
]
TEXTS = {"state", "result", "phase", "action_class", "queue"}


class Shelf:
    """A stored plan of which a step has failed; single columns are spoilt, one at a time."""

    def __init__(self, path: Path) -> None:
        self.database = Database(f"sqlite:///{path}/plans.db")
        prepare(self.database)
        store = self.store = Store(self.database)
        coordinator = Coordinator(self.database, WORLD)
        coordinator.register_world(WorldRecord(WORLD, executor=True, meta={"endpoint": "ipc:///x"}))
        store.save_plan(a_plan(finalize=True), fence=coordinator.fence)
        error = ErrorRecord("ValueError", "words", ("a line",), None).to_bytes()
        for writes in (
            [claim(), mark(run_step(0)), mark(run_step(1))],
            [
                outcome(run_step(0), output=encode({"password": "x", "n": [1]}, "output")),
                outcome(run_step(1), state=StepState.ERROR, error=error),
            ],
        ):
            with self.database.write(coordinator.fence) as connection:
                lost = store.write_turn(connection, writes)
                coordinator.follow_turn(connection, writes, lost)
        self.library = Library(store, coordinator.fence)

    def values(self, table: str, column: str) -> list[tuple[tuple[Any, ...], Any]]:
        """What stands there, with the rows' primary keys."""
        with self.database.read() as connection:
            keys = ", ".join(f'"{key}"' for key in _keys_of(table))
            query = text(f'SELECT "{column}", {keys} FROM {table} WHERE "{column}" IS NOT NULL')
            return [(tuple(row[1:]), row[0]) for row in connection.execute(query)]

    def put(self, table: str, column: str, row: tuple[Any, ...], value: Any) -> None:
        keys = _keys_of(table)
        where = " AND ".join(f'"{key}" = :k{number}' for number, key in enumerate(keys))
        given = {f"k{number}": key for number, key in enumerate(row)}
        with self.database.write() as connection:
            update = text(f'UPDATE {table} SET "{column}" = :value WHERE {where}')
            assert connection.execute(update, {"value": value, **given}).rowcount == 1

    def read(self) -> None:
        """All that anybody ever reads of a plan; what is wrong with it is said in one family of errors."""
        readings: list[Callable[[], Any]] = [
            lambda: self.store.load_skeleton(PLAN),
            lambda: self.store.load_payloads(PLAN, [1, 2, 3]),
            lambda: self.library.find_execution_plans(),
            self._read_plan,
        ]
        for reading in readings:
            with suppress(DynflowError):
                reading()

    def _read_plan(self) -> None:
        plan = self.library.load_execution_plan(PLAN)
        repr(plan)
        for look in (
            lambda: plan.state,
            lambda: plan.execution_history,
            lambda: (plan.run_flow, plan.finalize_flow),
            lambda: plan.progress,
            lambda: plan.errors,
        ):
            with suppress(DynflowError):
                look()
        for step in plan.steps.values():
            for look in (lambda: step.error, lambda: step.children, lambda: step.failed_attempts):  # noqa: B023
                with suppress(DynflowError):
                    look()
            with suppress(DynflowError):
                if step.error is not None:
                    repr(step.error.exception), shown_error(step.error)
            with suppress(DynflowError):
                shown(plan.action(step.action_id))


def test_fuzzed_rows_are_read_or_refused(tmp_path: Path) -> None:
    """Whatever a column holds, it is a plan, or an error of ours that keeps nobody from reading others."""
    shelf = Shelf(tmp_path)
    standing = {column: found for column in COLUMNS if (found := shelf.values(*column))}
    corpus = [_as_bytes(value) for found in standing.values() for _, value in found]
    chance = random.Random(SEED)

    def attempt(_ignored: bytes) -> None:
        table, column = chance.choice(list(standing))
        row, value = chance.choice(standing[table, column])
        spoilt: Any = mutated(_as_bytes(value), chance, corpus)
        if column in TEXTS:
            spoilt = spoilt.decode("utf-8", "replace").replace("\0", "")[:100]
        shelf.put(table, column, row, spoilt)
        try:
            shelf.read()
        except BaseException as error:
            raise AssertionError(f"{table}.{column}={spoilt!r}") from error
        finally:
            shelf.put(table, column, row, value)

    assert tried([b""], attempt) > 5 * SECONDS
    assert len(standing) >= 15
    assert shelf.library.load_execution_plan(PLAN).state == "running"
    shelf.database.close()


def _keys_of(table: str) -> list[str]:
    return [column.name for column in metadata.tables[table].primary_key]


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
