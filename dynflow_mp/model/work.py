"""What goes to a worker and what comes back: bytes in, bytes out, nothing else shared.

A step's output or error travels as the codec's bytes; the supervisor stores them unread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.states import StepState
from dynflow_mp.redaction import discreet


@discreet
class StepJob(NamedTuple):
    """One call of one action's ``run``.

    ``references`` are the codec's bytes of its :class:`StoredReference` list (None: the input is
    complete), ``producers`` the outputs they need by action id, ``output`` what earlier calls left
    (None: nothing yet), ``event`` the codec's bytes of the event that woke the step (None: no event).
    ``skipping``: the step is being skipped, and ``run`` is called with the Skip event. ``briefing`` are the
    bytes of a :class:`~dynflow_mp.model.sub_plans.Briefing`, for classes that ask how their sub-plans stand.
    """

    plan_id: str
    step_id: int
    action_id: int
    attempt: int
    action_class: str
    input: bytes
    references: bytes | None = None
    producers: dict[int, bytes] | None = None
    output: bytes | None = None
    event: bytes | None = None
    skipping: bool = False
    briefing: bytes | None = None


@discreet
class FinalizePart(NamedTuple):
    """One finalize step inside a :class:`FinalizeJob`."""

    step_id: int
    action_id: int
    attempt: int
    action_class: str
    input: bytes
    references: bytes | None
    output: bytes | None


@discreet
class FinalizeJob(NamedTuple):
    """The whole finalize phase of a plan: the parts run one after the other, the first failure ends it.

    What stands around the phase is what ``root_class`` asks for, the class of the plan's root action.
    """

    plan_id: str
    parts: tuple[FinalizePart, ...]
    producers: dict[int, bytes]
    root_class: str = ""


@discreet
class Errand(NamedTuple):
    """Work for a worker that is no step: planning what was scheduled, calling a hook, asking a class.

    ``kind`` says what to do with ``action_class`` and ``data``, and whose number ``errand_id`` is: plan, kind and
    number together name an errand. Nothing about it is stored; whoever needs it done keeps its cause.
    """

    plan_id: str
    errand_id: int
    kind: str
    action_class: str
    data: bytes


Job = StepJob | FinalizeJob | Errand


@discreet
class PlannedEvent(NamedTuple):
    """An event an action asked to be delivered, by default to its own step, after ``delay_s``."""

    plan_id: str
    step_id: int
    data: bytes
    delay_s: float | None
    optional: bool


@discreet
class OutputChunk(NamedTuple):
    """A piece of output that is only ever added to; ``chunk`` are the codec's bytes, ``written_at`` microseconds UTC.

    ``number`` counts those of one call from 1. Without any bytes it says: drop what was written before.
    """

    chunk: bytes
    kind: str | None
    written_at: int
    number: int


@discreet
class StepOutcome(NamedTuple):
    """What came of one call.

    ``state`` is ``success``, ``error`` or ``suspended`` (finalize parts: the first two). ``output``
    is None when it did not change, ``input`` None unless references were resolved into it; ``error``
    the bytes of :class:`ErrorRecord`. ``progress_weight`` None: as it was planned. ``ended_at`` microseconds UTC, ``execution_time`` seconds.
    ``retryable``: the error is one that the class's retry policy names. ``plans`` are sub-plans to be stored with
    the outcome (the bytes of :class:`~dynflow_mp.model.sub_plans.NewSubPlan`), ``orders`` what is to be done with
    those that are stored already; ``chunks`` what the call wrote beside its output.
    """

    step_id: int
    state: StepState
    ended_at: int
    execution_time: float
    progress_done: float
    progress_weight: float | None
    output: bytes | None = None
    input: bytes | None = None
    error: bytes | None = None
    events: tuple[PlannedEvent, ...] = ()
    retryable: bool = False
    plans: tuple[bytes, ...] = ()
    chunks: tuple[OutputChunk, ...] = ()
    orders: bytes | None = None


@discreet
class ErrandOutcome(NamedTuple):
    """What came of an errand: ``result``, or ``error`` (the bytes of :class:`ErrorRecord`); one of them is None."""

    kind: str
    execution_time: float
    result: bytes | None
    error: bytes | None


class ErrorRecord(NamedTuple):
    """A step's error as it is stored: names and text only, never an object."""

    exception_class: str
    message: str
    backtrace: tuple[str, ...] = ()
    cause: str | None = None
    """A named cause when the engine, not the user's code, ended the step (``signal(9)`` …)."""
    certificate: Certificate | None = None
    """How it ended, where the step did not end by itself."""

    def to_bytes(self) -> bytes:
        fields: list[Any] = [self.exception_class, self.message, list(self.backtrace), self.cause]
        if self.certificate is not None:
            fields.append(self.certificate.to_data())
        return encode(fields, "error")

    @classmethod
    def from_bytes(cls, data: bytes) -> ErrorRecord:
        """Raises :class:`DamagedData` for bytes that hold no error."""
        try:
            name, message, backtrace, cause, *more = decode(data)
            record = cls(
                name, message, tuple(backtrace), cause, Certificate.from_data(more[0]) if more else None
            )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise DamagedData(f"a stored error cannot be read: {error}") from error
        texts = (name, message, *record.backtrace, "" if cause is None else cause)
        if not all(isinstance(one, str) for one in texts):
            raise DamagedData("a stored error holds what is no text")
        return record


def beginning_of_error(data: bytes) -> tuple[str, str]:
    """Class and message of a stored :class:`ErrorRecord` of which only the first bytes are there; the message as far as it goes.

    Of bytes that hold no error: what is said instead.
    """
    reader = msgpack.Unpacker(unicode_errors="replace")
    reader.feed(data)
    try:
        reader.read_array_header()
        name = reader.unpack()
        return str(name), _text_at(data, reader.tell())
    except (ValueError, TypeError, IndexError, msgpack.UnpackException):
        return "?", "its error cannot be read"


_TEXT_HEADS = {0xD9: 2, 0xDA: 3, 0xDB: 5}


def _text_at(data: bytes, place: int) -> str:
    """The text that begins there, or as much of it as there is. Raises ``IndexError`` and ``ValueError`` for anything else."""
    kind = data[place]
    head = 1 if kind & 0xE0 == 0xA0 else _TEXT_HEADS.get(kind, 0)
    if not head:
        raise ValueError("no text")
    begin = place + head
    length = kind & 0x1F if head == 1 else int.from_bytes(data[place + 1 : begin], "big")
    return data[begin : begin + length].decode("utf-8", "ignore")
