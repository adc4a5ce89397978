"""What worlds say to each other: plain data in an envelope, a version in front.

Execution ─▶ Accepted … Done | Failed      Event ─▶ Done | Failed
CancelPlan ─▶ Told | Failed                HaltPlan ─▶ Done | Failed
Ping ─▶ Pong | Failed                      Status ─▶ ExecutionStatus | Failed
Workers ─▶ WorkersTold | Failed            Drain ─▶ Done | Failed
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from dynflow_mp import errors
from dynflow_mp.errors import DamagedData, DynflowError, ProtocolError
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.redaction import discreet

VERSION = 1
MAX_ENVELOPE = 8 * 1024 * 1024
_LONGEST_ID = 100
"""Ids of worlds, requests and plans are remembered, and stored, where they came: none is longer."""
_LONGEST_DELAY_S = 100_000_000
"""Three years, as everywhere else."""

ANY_EXECUTOR = "any-executor"
"""Receiver that the connector resolves to one executor."""


class _Bare(tuple[()]):
    """A message without fields. Unlike bare named tuples, two kinds of them are not equal."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __ne__(self, other: object) -> bool:
        return type(self) is not type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


# -- requests ------------------------------------------------------------------------------------


class Execution(NamedTuple):
    """Run (or resume) this plan; answered by Accepted and, when the attempt ended, Done."""

    plan_id: str
    queue: str = "default"
    """The queue most of the plan's steps use: the connector weighs executors by its free slots."""


@discreet
class Event(NamedTuple):
    """Wake a step with ``data`` (the codec's bytes); Done once the run that took it is stored."""

    plan_id: str
    step_id: int
    data: bytes
    optional: bool = False
    delay_s: float | None = None


class CancelPlan(NamedTuple):
    """Send Cancel (with ``force`` Abort) to the plan's steps that can take it; answered by Told."""

    plan_id: str
    force: bool = False


class HaltPlan(NamedTuple):
    """Stop the plan, whatever it does; Done once it is stopped."""

    plan_id: str


class Ping(_Bare):
    """Does the core of this executor turn?"""

    __slots__ = ()


class Status(NamedTuple):
    """How busy is this executor, and with ``plan_id`` given, how much of it is that plan's?"""

    plan_id: str | None = None


class Workers(_Bare):
    """Which workers has this executor, and what is each of them at?"""

    __slots__ = ()


class Drain(_Bare):
    """End as when asked to by a signal; Done once that has begun. Only a supervisor does it."""

    __slots__ = ()


class LookAtDelayed(_Bare):
    """Plans were scheduled or let go: if it is you who has them planned, look at once. Not answered."""

    __slots__ = ()


# -- responses -----------------------------------------------------------------------------------


class Accepted(_Bare):
    """The executor has the plan."""

    __slots__ = ()


class Done(_Bare):
    """The attempt ended; what became of the plan is in the database."""

    __slots__ = ()


class Told(NamedTuple):
    """These steps were sent what the request is about."""

    step_ids: list[int]


class Failed(NamedTuple):
    """The request failed: the name of one of our error classes and its text.

    ``holder``: the request for which the plan is executed already, if that is why.
    """

    error_class: str
    message: str
    plan_id: str | None = None
    holder: str | None = None

    @classmethod
    def of(cls, error: DynflowError) -> Failed:
        known = (getattr(error, "plan_id", None), getattr(error, "holder", None))
        return cls(type(error).__name__, str(error), *known)

    def to_error(self) -> DynflowError:
        """The error again, of its own class where that is one of the request errors."""
        kind = getattr(errors, self.error_class, None)
        if kind is errors.AlreadyRunning:
            return errors.AlreadyRunning(self.message, self.plan_id, self.holder)
        if isinstance(kind, type) and issubclass(kind, errors.RequestError):
            return kind(self.message, self.plan_id)
        return errors.RequestError(f"{self.error_class}: {self.message}", self.plan_id)


class Pong(_Bare):
    """The core turns."""

    __slots__ = ()


class ExecutionStatus(NamedTuple):
    """Per queue: ``pool_size``, ``free_workers``, ``queue_size``."""

    queues: dict[str, dict[str, int]]


class WorkersTold(NamedTuple):
    """What :meth:`~dynflow_mp.model.workers_report.WorkersReport.to_data` says."""

    report: dict[str, Any]


Request = Execution | Event | CancelPlan | HaltPlan | Ping | Status | Workers | Drain | LookAtDelayed
Response = Accepted | Done | Told | Failed | Pong | ExecutionStatus | WorkersTold
Message = Request | Response

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Execution, Event, CancelPlan, HaltPlan, Ping, Status, Workers, Drain, LookAtDelayed),
        *(Accepted, Done, Told, Failed, Pong, ExecutionStatus, WorkersTold),
    )
}
REQUESTS = (Execution, Event, CancelPlan, HaltPlan, Ping, Status, Workers, Drain, LookAtDelayed)


class Envelope(NamedTuple):
    """One message on its way. ``sender_id`` is the world to answer, ``receiver_id`` a world or ANY_EXECUTOR."""

    sender_id: str
    receiver_id: str
    request_id: str
    message: Message

    def answer(self, sender_id: str, response: Response) -> Envelope:
        """The envelope that carries ``response`` back."""
        return Envelope(sender_id, self.sender_id, self.request_id, response)

    @property
    def is_request(self) -> bool:
        return isinstance(self.message, REQUESTS)

    def to_bytes(self) -> bytes:
        """Raises :class:`ProtocolError` for what its receiver would refuse: it must not come to distrust us."""
        message = self.message
        doubt = _DOUBTS.get(type(message))
        if doubt is not None:
            try:
                doubt(message)
            except TypeError as error:
                raise ProtocolError(f"a {type(message).__name__} that nobody takes: {error}") from error
        return encode(
            [
                VERSION,
                self.sender_id,
                self.receiver_id,
                self.request_id,
                type(message).__name__,
                list(message),
            ],
            "envelope",
            MAX_ENVELOPE,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Read an envelope. Raises :class:`ProtocolError` for anything that is not one."""
        if len(data) > MAX_ENVELOPE:
            raise ProtocolError(f"an envelope of {len(data):,} bytes is too large")
        try:
            fields = decode(data)
        except DamagedData as error:
            raise ProtocolError(f"not an envelope: {error}") from error
        if not isinstance(fields, list) or not fields or fields[0] != VERSION:
            raise ProtocolError("not an envelope, or of another version")
        if len(fields) != 6 or not all(isinstance(text, str) for text in fields[1:5]):
            raise ProtocolError("an envelope with the wrong fields")
        _, sender_id, receiver_id, request_id, kind_name, values = fields
        if not (may_be_an_id(sender_id) and may_be_an_id(receiver_id) and may_be_an_id(request_id)):
            raise ProtocolError("an envelope with ids that cannot be anybody's")
        kind = _KINDS.get(kind_name)
        if kind is None or not isinstance(values, list):
            raise ProtocolError(f"an envelope of the unknown kind {kind_name[:_LONGEST_ID]!r}")
        try:
            return cls(sender_id, receiver_id, request_id, _checked(kind, values))
        except TypeError as error:
            raise ProtocolError(f"a damaged {kind_name}: {error}") from error


_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "plan_id": (str, type(None)),
    "queue": (str,),
    "step_id": (int,),
    "data": (bytes,),
    "optional": (bool,),
    "delay_s": (int, float, type(None)),
    "error_class": (str,),
    "message": (str,),
    "queues": (dict,),
    "report": (dict,),
    "force": (bool,),
    "holder": (str, type(None)),
    "step_ids": (list,),
}


def _checked(kind: type[Any], values: list[Any]) -> Message:
    for name, value in zip(kind._fields, values, strict=False):
        if not isinstance(value, _FIELD_TYPES[name]):
            raise TypeError(f"{name} is a {type(value).__name__}")
    message: Message = kind(*values)
    doubt = _DOUBTS.get(kind)
    if doubt is not None:
        doubt(message)
    return message


def may_be_an_id(text: str) -> bool:
    """Whether a world, a request or a plan could have it: short, and nothing that is more than it looks like."""
    return len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()


def _check_plan(message: Execution | Event | CancelPlan | HaltPlan) -> None:
    plan_id: Any = message.plan_id
    if not plan_id or not may_be_an_id(plan_id):
        raise TypeError("plan_id cannot be the id of a plan")


def _check_execution(message: Execution) -> None:
    _check_plan(message)
    if len(message.queue) > _LONGEST_ID:
        raise TypeError("queue cannot be the name of a queue")


def _check_event(event: Event) -> None:
    """What an executor reckons with, and stores."""
    _check_plan(event)
    if isinstance(event.step_id, bool) or not 0 < event.step_id < 2**31:
        raise TypeError("step_id cannot be the number of a step")
    delay_s = event.delay_s
    # A delay that is no number compares as false.
    if delay_s is not None and (isinstance(delay_s, bool) or not 0 <= delay_s <= _LONGEST_DELAY_S):
        raise TypeError("delay_s is no number of seconds that can be waited for")


_DOUBTS: dict[type[Any], Callable[[Any], None]] = {
    Execution: _check_execution,
    Event: _check_event,
    CancelPlan: _check_plan,
    HaltPlan: _check_plan,
}
"""What more than its type is looked at: an executor that took it in good faith would fail with it."""
