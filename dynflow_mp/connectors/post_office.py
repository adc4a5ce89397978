"""What connectors with a thread of their own have in common: how others leave them something to do, and when the thread lives.

any thread: send, settled ──▶ OfficeConnector ── post, call ──▶ Office: notes, bell ──▶ its thread: run
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from dynflow_mp.bell import Bell
from dynflow_mp.connectors.connector import Connector, Receiver
from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.errors import ConnectorError
from dynflow_mp.model.messages import Envelope
from dynflow_mp.telemetry import logger

log = logger("connectors.post_office")

_START_S = 10.0
_END_S = 5.0

Note = Envelope | Callable[[], object]


class Office(ABC):
    """Everything a connector's thread owns. Others only call ``post`` and ``call``."""

    def __init__(self, receiver: Receiver, linger_s: float) -> None:
        self.delivery = Delivery(receiver)
        self.linger_s = linger_s
        """How long it goes on sending what is still to be sent, once it is told to stop."""
        self._notes: deque[Note] = deque()
        self._bell = Bell()

    def post(self, envelope: Envelope) -> None:
        """Have this envelope sent."""
        self._notes.append(envelope)
        self._bell.ring()

    def call(self, what: Callable[..., object], *args: object) -> None:
        """Have ``what(*args)`` done on the connector's thread."""
        self._notes.append((lambda: what(*args)) if args else what)
        self._bell.ring()

    def _waiting_notes(self) -> Iterator[Note]:
        """Take those that are there now; what comes meanwhile waits for the next time."""
        for _ in range(len(self._notes)):
            yield self._notes.popleft()

    @abstractmethod
    def run(self, started: Future[None]) -> None:
        """Serve until told to stop; ``started`` says when, or why not."""

    @abstractmethod
    def abandon(self) -> None:
        """Give back what it has, since it will never run."""

    @abstractmethod
    def refuse_new_work(self) -> None:
        """From now on this world's own requests go to other executors. On the connector's thread."""

    @abstractmethod
    def begin_to_stop(self) -> None:
        """Send what is still to be sent, then end. On the connector's thread."""


class OfficeConnector(Connector):
    """A connector whose work is done by an :class:`Office` on the thread ``dynflow connector``."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._receiver: Receiver | None = None
        self._office: Office | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _open_office(self, receiver: Receiver) -> Office:
        """The office that is to serve this world. Raises :class:`ConnectorError` where it cannot listen."""

    def _closed(self, office: Office) -> None:
        """This office has ended."""

    @property
    def protocol_errors(self) -> int:
        """How many messages were refused because they were not ours, or damaged."""
        office = self._office
        return 0 if office is None else office.delivery.protocol_errors

    def start_listening(self, receiver: Receiver) -> None:
        with self._guard:
            if self._receiver is receiver:
                return
            if self._receiver is not None:
                raise ConnectorError("this connector serves another world already")
            office = self._open_office(receiver)
            started: Future[None] = Future()
            thread = threading.Thread(
                target=office.run, args=(started,), name="dynflow connector", daemon=True
            )
            try:
                thread.start()
            except BaseException:
                office.abandon()
                raise
            try:
                started.result(_START_S)
            except FutureTimeout:
                office.call(office.begin_to_stop)  # whatever holds it up: it ends when that is over
                raise ConnectorError(f"the connector has not begun to listen within {_START_S:g} s") from None
            self._receiver, self._office, self._thread = receiver, office, thread

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        office = self._office
        if office is not None:
            office.call(office.refuse_new_work)

    def stop_listening(self, receiver: Receiver) -> None:
        with self._guard:
            office, thread = self._office, self._thread
            self._receiver = self._office = self._thread = None
        if office is None or thread is None:
            return
        office.call(office.begin_to_stop)
        if thread is not threading.current_thread():
            thread.join(2 * office.linger_s + _END_S)
        self._closed(office)

    def send(self, envelope: Envelope) -> None:
        office = self._office
        if office is None:
            log.debug(
                "an envelope came after the connector stopped",
                extra={"action": "envelope_dropped", "request_id": envelope.request_id},
            )
        else:
            office.post(envelope)

    def settled(self, request_id: str) -> None:
        office = self._office
        if office is not None:
            office.call(office.delivery.balance.settled, request_id)
