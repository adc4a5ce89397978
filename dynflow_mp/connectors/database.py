"""Worlds of several processes and machines that share nothing but their database.

    any thread: send ──▶ mailroom ──▶ dynflow_envelopes ──▶ mailroom of the receiver
                         │    ▲          (row by row, in order; deleted once handed over)
       receiver.receive ◀┘    └── PostgreSQL: LISTEN; elsewhere: looks, quickly while something goes on

Slower than a wire, and a burden on the database; but no port has to be open and no path to be shared.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from dynflow_mp.connectors.connector import Connector, Directory, Receiver
from dynflow_mp.connectors.mailroom import Mailroom, Timings
from dynflow_mp.errors import ConnectorError
from dynflow_mp.model.messages import Envelope
from dynflow_mp.persistence.database import Database
from dynflow_mp.telemetry import logger

log = logger("connectors.database")

TRANSPORT = "database"
ENDPOINT = f"{TRANSPORT}://envelopes"
"""Where a world listens that is reached this way: the same for all, since rows have the receiver's id."""

POLL_S = 0.2
_PATIENCE_S = 10.0
"""How long a receiver may take nothing at all until what was sent to it comes back: twice the longest interval
between two looks."""
_START_S = 10.0


class DatabaseConnector(Connector):
    """The connector of one world that reaches all others through the database.

    All state belongs to the thread ``dynflow connector``. ``poll_s`` is the longest interval between two looks
    where the database does not tell by itself; the directory is asked at most once in ``refresh_s`` seconds.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        *,
        poll_s: float = POLL_S,
        refresh_s: float = 1.0,
        linger_s: float = 2.0,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._database, self._directory = database, directory
        self._timings = Timings(poll_s, refresh_s, linger_s, patience_s)
        self._guard = threading.Lock()
        self._receiver: Receiver | None = None
        self._mailroom: Mailroom | None = None
        self._thread: threading.Thread | None = None
        self._last_number = 0

    @property
    def endpoint(self) -> str | None:
        return None if self._mailroom is None else ENDPOINT

    @property
    def protocol_errors(self) -> int:
        """How many envelopes were refused because they were damaged."""
        mailroom = self._mailroom
        return 0 if mailroom is None else mailroom.delivery.protocol_errors

    def start_listening(self, receiver: Receiver) -> None:
        with self._guard:
            if self._receiver is receiver:
                return
            if self._receiver is not None:
                raise ConnectorError("this connector serves another world already")
            mailroom = Mailroom(receiver, self._database, self._directory, self._timings, self._last_number)
            started: Future[None] = Future()
            thread = threading.Thread(
                target=mailroom.run, args=(started,), name="dynflow connector", daemon=True
            )
            thread.start()
            started.result(_START_S)
            self._receiver, self._mailroom, self._thread = receiver, mailroom, thread

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        mailroom = self._mailroom
        if mailroom is not None:
            mailroom.call(mailroom.outgoing.refuse_new_work)

    def stop_listening(self, receiver: Receiver) -> None:
        with self._guard:
            mailroom, thread = self._mailroom, self._thread
            self._receiver = self._mailroom = self._thread = None
        if mailroom is None or thread is None:
            return
        mailroom.call(mailroom.begin_to_stop)
        if thread is not threading.current_thread():
            thread.join(2 * self._timings.linger_s + 5)
        self._last_number = mailroom.outgoing.last_number

    def send(self, envelope: Envelope) -> None:
        mailroom = self._mailroom
        if mailroom is None:
            log.debug(
                "an envelope came after the connector stopped",
                extra={"action": "envelope_dropped", "request_id": envelope.request_id},
            )
        else:
            mailroom.post(envelope)

    def settled(self, request_id: str) -> None:
        mailroom = self._mailroom
        if mailroom is not None:
            mailroom.call(mailroom.delivery.balance.settled, request_id)
