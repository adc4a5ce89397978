"""Worlds of several processes, over ZeroMQ.

    any thread: send ──▶ exchange ──▶ DEALER of the executor  (requests)
                         │    ▲   ──▶ our ROUTER              (answers)
       receiver.receive ◀┘    └── all sockets, directory; one thread

Only executors bind; everyone connects to every executor it may need, and is answered over its own
connection, also by an executor it never asked: that is how a successor finds it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from dynflow_mp.connectors.connector import Connector, Directory, Receiver
from dynflow_mp.connectors.endpoints import Place
from dynflow_mp.connectors.exchange import Exchange
from dynflow_mp.errors import ConnectorError
from dynflow_mp.model.messages import Envelope
from dynflow_mp.telemetry import logger

log = logger("connectors.zeromq")

TRANSPORTS = frozenset({"ipc", "tcp"})
"""What stands before :// in endpoints that can be connected to."""

_START_S = 10.0


class ZeroMQConnector(Connector):
    """The connector of one world that talks to other processes.

    An executor (``receiver.takes_work``), and anyone given ``listen``, binds a ROUTER. All sockets and
    tables belong to the thread ``dynflow connector``; the directory is asked there, at most once in
    ``refresh_s`` seconds.
    """

    def __init__(
        self,
        directory: Directory,
        listen: str | None = None,
        *,
        refresh_s: float = 1.0,
        linger_s: float = 2.0,
    ) -> None:
        self._directory, self._listen = directory, listen
        self._refresh_s, self._linger_s = refresh_s, linger_s
        self._guard = threading.Lock()
        self._receiver: Receiver | None = None
        self._exchange: Exchange | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str | None:
        exchange = self._exchange
        return None if exchange is None else exchange.endpoint

    @property
    def protocol_errors(self) -> int:
        """How many messages were refused because they were not ours, or damaged."""
        exchange = self._exchange
        return 0 if exchange is None else exchange.delivery.protocol_errors

    def start_listening(self, receiver: Receiver) -> None:
        with self._guard:
            if self._receiver is receiver:
                return
            if self._receiver is not None:
                raise ConnectorError("this connector serves another world already")
            place = Place.claim(self._listen) if self._listen or receiver.takes_work else None
            exchange = Exchange(receiver, self._directory, self._refresh_s, self._linger_s)
            started: Future[None] = Future()
            thread = threading.Thread(
                target=exchange.run, args=(place, started), name="dynflow connector", daemon=True
            )
            thread.start()
            started.result(_START_S)
            self._receiver, self._exchange, self._thread = receiver, exchange, thread

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.call(exchange.refuse_new_work)

    def stop_listening(self, receiver: Receiver) -> None:
        with self._guard:
            exchange, thread = self._exchange, self._thread
            self._receiver = self._exchange = self._thread = None
        if exchange is None or thread is None:
            return
        exchange.call(exchange.begin_to_stop)
        if thread is not threading.current_thread():
            thread.join(2 * self._linger_s + 5)

    def send(self, envelope: Envelope) -> None:
        exchange = self._exchange
        if exchange is None:
            log.debug(
                "an envelope came after the connector stopped",
                extra={"action": "envelope_dropped", "request_id": envelope.request_id},
            )
        else:
            exchange.post(envelope)

    def settled(self, request_id: str) -> None:
        exchange = self._exchange
        if exchange is not None:
            exchange.call(exchange.delivery.balance.settled, request_id)
