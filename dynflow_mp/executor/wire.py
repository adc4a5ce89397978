"""Frames between a supervisor and its workers.

    byte 0   version
    byte 1   kind
    rest     msgpack, positional: jobs and outcomes are the very tuples of ``model.work``

    supervisor âââ¶ worker   work lane: JOBS, STOP      control lane: RECALL, PING, STOP_STEP, CHUNKS_HEARD
    supervisor ◀── worker   work lane: HELLO, OUTCOMES, RECALLED
                            control lane: HELLO, OUTCOMES, RECALLED, PONG, CHUNKS

A frame carries a batch. Payloads inside are bytes and stay unread. Whatever cannot be read is a
:class:`ProtocolError` and nothing else; so is what cannot be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import msgpack

from dynflow_mp.errors import DamagedData, ProtocolError
from dynflow_mp.model.states import StepState
from dynflow_mp.model.sub_plans import NewSubPlan, Orders
from dynflow_mp.model.work import (
    Errand,
    ErrandOutcome,
    ErrorRecord,
    FinalizeJob,
    FinalizePart,
    Job,
    OutputChunk,
    PlannedEvent,
    StepJob,
    StepOutcome,
)

VERSION = 1
MAX_FRAME = 512 * 1024 * 1024
"""The pool cuts batches far below it; only one job with very many producers may come near."""

HELLO, JOBS, OUTCOMES, RECALL, RECALLED, STOP, PING, PONG, STOP_STEP, CHUNKS, CHUNKS_HEARD = range(1, 12)
KIND_NAMES = {
    HELLO: "hello",
    JOBS: "jobs",
    OUTCOMES: "outcomes",
    RECALL: "recall",
    RECALLED: "recalled",
    STOP: "stop",
    PING: "ping",
    PONG: "pong",
    STOP_STEP: "stop step",
    CHUNKS: "chunks",
    CHUNKS_HEARD: "chunks heard",
}

WORK_LANE, CONTROL_LANE = 1, 2

Outcome = StepOutcome | tuple[StepOutcome, ...] | ErrandOutcome
"""What comes of a :class:`StepJob`, of a :class:`FinalizeJob` (one for each part that was begun), of an :class:`Errand`."""


class Hello(NamedTuple):
    """The first frame of each lane: who speaks, proved by the token that only its supervisor gave it."""

    token: bytes
    lane: int
    pid: int


# -- to workers ----------------------------------------------------------------------------------


def encode_jobs(numbered: Sequence[tuple[int, Job]]) -> bytes:
    """A batch of numbered jobs."""
    return _frame(JOBS, numbered)


def decode_jobs(frame: bytes) -> list[tuple[int, Job]]:
    """The jobs of :func:`encode_jobs`."""
    body = _body(frame, JOBS)
    try:
        return [_job(number, fields) for number, fields in body]
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a damaged job: {error}") from error


def encode_recall(job_numbers: Sequence[int]) -> bytes:
    """Please do not begin these jobs."""
    return _frame(RECALL, job_numbers)


def decode_recall(frame: bytes) -> tuple[int, ...]:
    """The job numbers of :func:`encode_recall`."""
    return _numbers(frame, RECALL)


def encode_stop() -> bytes:
    """Leave once everything sent before is answered or recalled."""
    return _frame(STOP, None)


def encode_ping(nonce: int) -> bytes:
    """Does your control lane turn?"""
    return _frame(PING, nonce)


def decode_ping(frame: bytes) -> int:
    """The nonce of :func:`encode_ping`."""
    return _number(frame, PING)


class StepToStop(NamedTuple):
    """The number of a job that is not wanted any more, and why."""

    number: int
    cause: str
    message: str


def encode_stop_step(step: StepToStop) -> bytes:
    """Give this job back, or leave it by an exception if it is the one that runs."""
    return _frame(STOP_STEP, step)


def decode_stop_step(frame: bytes) -> StepToStop:
    """The job of :func:`encode_stop_step`."""
    body = _body(frame, STOP_STEP)
    if type(body) is not tuple or tuple(map(type, body)) != (int, str, str):
        raise ProtocolError("a damaged stop step")
    return StepToStop._make(body)


# -- to the supervisor ---------------------------------------------------------------------------


def encode_hello(hello: Hello) -> bytes:
    """The first frame of a lane."""
    return _frame(HELLO, hello)


def decode_hello(frame: bytes) -> Hello:
    """The hello of :func:`encode_hello`."""
    body = _body(frame, HELLO)
    if type(body) is not tuple or tuple(map(type, body)) != (bytes, int, int):
        raise ProtocolError("a damaged hello")
    return Hello._make(body)


def encode_outcomes(numbered: Sequence[tuple[int, Outcome]]) -> bytes:
    """A batch of outcomes by job number."""
    return _frame(OUTCOMES, numbered)


def decode_outcomes(frame: bytes) -> list[tuple[int, Outcome]]:
    """The outcomes of :func:`encode_outcomes`."""
    body = _body(frame, OUTCOMES)
    try:
        return [_numbered_outcome(number, fields) for number, fields in body]
    except (TypeError, ValueError, KeyError, DamagedData) as error:
        raise ProtocolError(f"a damaged outcome: {error}") from error


def encode_recalled(job_numbers: Sequence[int]) -> bytes:
    """These jobs were not begun and never will be."""
    return _frame(RECALLED, job_numbers)


def decode_recalled(frame: bytes) -> tuple[int, ...]:
    """The job numbers of :func:`encode_recalled`."""
    return _numbers(frame, RECALLED)


def encode_chunks(job_number: int, step_id: int, chunks: Sequence[OutputChunk]) -> bytes:
    """What a step that still runs has written beside its output."""
    return _frame(CHUNKS, (job_number, step_id, chunks))


def decode_chunks(frame: bytes) -> tuple[int, int, tuple[OutputChunk, ...]]:
    """Job number, step id and chunks, at least one, of :func:`encode_chunks`."""
    body = _body(frame, CHUNKS)
    try:
        job_number, step_id, chunks = body
        if (type(job_number), type(step_id), type(chunks)) != (int, int, tuple) or not chunks:
            raise TypeError("they have the wrong fields")
        return job_number, step_id, tuple(map(_chunk, chunks))
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"damaged chunks: {error}") from error


def encode_chunks_heard(job_number: int, number: int) -> bytes:
    """A job's chunks have arrived, up to this one."""
    return _frame(CHUNKS_HEARD, (job_number, number))


def decode_chunks_heard(frame: bytes) -> tuple[int, int]:
    """Job number and chunk number of :func:`encode_chunks_heard`."""
    numbers = _numbers(frame, CHUNKS_HEARD)
    if len(numbers) != 2:
        raise ProtocolError("a damaged chunks heard")
    return numbers[0], numbers[1]


def encode_pong(nonce: int) -> bytes:
    """The answer to a ping."""
    return _frame(PONG, nonce)


def decode_pong(frame: bytes) -> int:
    """The nonce of :func:`encode_pong`."""
    return _number(frame, PONG)


# -- frames --------------------------------------------------------------------------------------


def kind_of(frame: bytes) -> int:
    """What kind of frame this is. Raises :class:`ProtocolError` if it cannot be one of ours."""
    if len(frame) < 2 or len(frame) > MAX_FRAME:
        raise ProtocolError(f"a frame of {len(frame):,} bytes")
    if frame[0] != VERSION:
        raise ProtocolError(f"a frame of version {frame[0]}, this is version {VERSION}")
    kind = frame[1]
    if kind not in KIND_NAMES:
        raise ProtocolError(f"a frame of the unknown kind {kind}")
    return kind


_HEADS = {kind: bytes((VERSION, kind)) for kind in KIND_NAMES}


def _frame(kind: int, body: Any) -> bytes:
    try:
        frame: bytes = _HEADS[kind] + msgpack.packb(body)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"{KIND_NAMES[kind]} cannot be sent: {error}") from error
    if len(frame) > MAX_FRAME:
        raise ProtocolError(f"{KIND_NAMES[kind]} of {len(frame):,} bytes are too large to send")
    return frame


def _body(frame: bytes, kind: int) -> Any:
    found = kind_of(frame)
    if found != kind:
        raise ProtocolError(f"{KIND_NAMES[found]} came where {KIND_NAMES[kind]} was expected")
    try:
        return msgpack.unpackb(memoryview(frame)[2:], use_list=False, strict_map_key=False)
    except Exception as error:  # msgpack has many ways to say so, and none may leave this border
        # Not its repr: that may hold what was read, as deep as it was sent.
        raise ProtocolError(f"damaged {KIND_NAMES[kind]}: {type(error).__name__}: {error}") from error


def _number(frame: bytes, kind: int) -> int:
    body = _body(frame, kind)
    if type(body) is not int:
        raise ProtocolError(f"a damaged {KIND_NAMES[kind]}")
    return body


def _numbers(frame: bytes, kind: int) -> tuple[int, ...]:
    body = _body(frame, kind)
    if type(body) is not tuple or not all(type(number) is int for number in body):
        raise ProtocolError(f"a damaged {KIND_NAMES[kind]}")
    return body


# -- jobs and outcomes: one look-up of the fields' types instead of a test per field ---------------

_NONE = type(None)
_MAYBE_BYTES = (bytes, _NONE)
_REAL = (float, int)

_STEP_JOB = frozenset(
    product(
        *((str,), (int,), (int,), (int,), (str,), (bytes,)),
        *(_MAYBE_BYTES, (dict, _NONE), _MAYBE_BYTES, _MAYBE_BYTES, (bool,), _MAYBE_BYTES),
    )
)
_FINALIZE_JOB = (str, tuple, dict, str)
_ERRAND = (str, int, str, str, bytes)
_ERRAND_OUTCOME = frozenset(product((str,), _REAL, _MAYBE_BYTES, _MAYBE_BYTES))
_PART = frozenset(product((int,), (int,), (int,), (str,), (bytes,), _MAYBE_BYTES, _MAYBE_BYTES))
_OUTCOME = frozenset(
    product(
        *((int,), (str,), (int,), _REAL, _REAL, (*_REAL, _NONE)),
        *(_MAYBE_BYTES, _MAYBE_BYTES, _MAYBE_BYTES, (tuple,), (bool,), (tuple,), (tuple,), _MAYBE_BYTES),
    )
)
_EVENT = frozenset(product((str,), (int,), (bytes,), (float, int, _NONE), (bool,)))
_CHUNK = frozenset(product((bytes,), (str, _NONE), (int,), (int,)))
_STATES = {
    state.value: state
    for state in (StepState.SUCCESS, StepState.ERROR, StepState.SUSPENDED, StepState.SKIPPED)
}


def _job(number: Any, fields: Any) -> tuple[int, Job]:
    if type(number) is not int:
        raise TypeError(f"its number is a {type(number).__name__}")
    types = tuple(map(type, fields))
    if types in _STEP_JOB:
        producers = fields[7]
        if producers is not None:
            _check_producers(producers)
        return number, StepJob._make(fields)
    if types == _FINALIZE_JOB:
        _check_producers(fields[2])
        return number, FinalizeJob(fields[0], tuple(map(_part, fields[1])), *fields[2:])
    if types == _ERRAND:
        return number, Errand._make(fields)
    raise TypeError("it has the wrong fields")


def _part(fields: Any) -> FinalizePart:
    if tuple(map(type, fields)) not in _PART:
        raise TypeError("a finalize part has the wrong fields")
    return FinalizePart._make(fields)


def _check_producers(producers: dict[Any, Any]) -> None:
    if not (set(map(type, producers)) <= {int} and set(map(type, producers.values())) <= {bytes}):
        raise TypeError("its producers are not bytes by action id")


def _numbered_outcome(number: Any, fields: Any) -> tuple[int, Outcome]:
    if type(number) is not int:
        raise TypeError(f"its number is a {type(number).__name__}")
    if not fields:
        return number, ()
    first = type(fields[0])
    if first is int:
        return number, _outcome(fields)
    if first is str:
        return number, _errand_outcome(fields)
    return number, tuple(map(_outcome, fields))


def _errand_outcome(fields: Any) -> ErrandOutcome:
    if tuple(map(type, fields)) not in _ERRAND_OUTCOME:
        raise TypeError("what came of an errand has the wrong fields")
    outcome = ErrandOutcome._make(fields)
    if (outcome.result is None) == (outcome.error is None):
        raise TypeError("an errand has either a result or an error")
    if outcome.error is not None:
        ErrorRecord.from_bytes(outcome.error)
    return outcome


def _outcome(fields: Any) -> StepOutcome:
    if tuple(map(type, fields)) not in _OUTCOME:
        raise TypeError("it has the wrong fields")
    _, state, *_, events, retryable, plans, chunks, orders = fields
    if plans:
        _check_sub_plans(plans)
    if orders is not None:
        Orders.from_bytes(orders)
    if fields[8] is not None:
        ErrorRecord.from_bytes(fields[8])  # the core reads it
    return StepOutcome._make(
        (
            fields[0],
            _STATES[state],
            *fields[2:9],
            tuple(map(_event, events)) if events else (),
            retryable,
            plans,
            tuple(map(_chunk, chunks)) if chunks else (),
            orders,
        )
    )


def _check_sub_plans(plans: tuple[Any, ...]) -> None:
    """What the core reads of them; the plan itself is read as it is stored."""
    if set(map(type, plans)) != {bytes}:
        raise TypeError("its sub-plans are not bytes")
    for data in plans:
        if tuple(map(type, NewSubPlan.from_bytes(data))) != (str, bool, bytes):
            raise TypeError("a sub-plan has the wrong fields")


def _event(fields: Any) -> PlannedEvent:
    if tuple(map(type, fields)) not in _EVENT:
        raise TypeError("an event has the wrong fields")
    return PlannedEvent._make(fields)


def _chunk(fields: Any) -> OutputChunk:
    if tuple(map(type, fields)) not in _CHUNK:
        raise TypeError("an output chunk has the wrong fields")
    return OutputChunk._make(fields)
