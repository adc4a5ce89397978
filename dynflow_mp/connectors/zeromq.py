"""Worlds of several processes, over ZeroMQ.

    any thread: send ──▶ exchange ──▶ DEALER of the executor  (requests)
                         │    ▲   ──▶ our ROUTER              (answers)
       receiver.receive ◀┘    └── all sockets, directory; one thread

Only executors bind; everyone connects to every executor it may need, and is answered over its own
connection, also by an executor it never asked: that is how a successor finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future

from dynflow_mp.connectors.connector import Connector, Directory, Receiver
from dynflow_mp.connectors.endpoints import Place, is_everywhere, reached_at
from dynflow_mp.connectors.exchange import Exchange
from dynflow_mp.connectors.keys import KeyPair, why_no_curve
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

    With ``keys`` all TCP goes over CURVE, and only worlds in the register may come in; without them only
    loopback addresses and ipc are allowed. ``advertise_host`` is where others reach this one, if not where it listens.
    """

    def __init__(
        self,
        directory: Directory,
        listen: str | None = None,
        *,
        refresh_s: float = 1.0,
        linger_s: float = 2.0,
        keys: KeyPair | None = None,
        advertise_host: str | None = None,
    ) -> None:
        self._directory, self._listen = directory, listen
        self._keys, self._advertise_host = keys, advertise_host
        self._refresh_s, self._linger_s = refresh_s, linger_s
        self._guard = threading.Lock()
        self._receiver: Receiver | None = None
        self._exchange: Exchange | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str | None:
        exchange = self._exchange
        if exchange is None or exchange.endpoint is None:
            return None
        return reached_at(exchange.endpoint, self._advertise_host)

    @property
    def public_key(self) -> str | None:
        return None if self._keys is None else self._keys.public

    @property
    def refused_connections(self) -> Mapping[str, int]:
        """How many TCP connections were refused, by reason."""
        doorkeeper = None if self._exchange is None else self._exchange.doorkeeper
        return {} if doorkeeper is None else doorkeeper.refused

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
            place = self._place() if self._listen or receiver.takes_work else None
            exchange = Exchange(receiver, self._directory, self._refresh_s, self._linger_s, self._keys)
            started: Future[None] = Future()
            thread = threading.Thread(
                target=exchange.run, args=(place, started), name="dynflow connector", daemon=True
            )
            thread.start()
            started.result(_START_S)
            self._receiver, self._exchange, self._thread = receiver, exchange, thread

    def _place(self) -> Place:
        listen = self._listen
        if listen is not None and listen.startswith("tcp://"):
            reason = None if self._keys is None else why_no_curve()
            if reason is not None:
                raise ConnectorError(f"{listen} cannot be listened on: {reason}; or listen on ipc://…")
            if is_everywhere(listen) and self._keys is not None and self._advertise_host is None:
                raise ConnectorError(
                    f"{listen} does not say where other worlds reach this one; "
                    "listen on one address, or say it with advertise_host"
                )
        return Place.claim(listen, encrypted=self._keys is not None)

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
