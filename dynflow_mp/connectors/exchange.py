"""The thread of a ZeroMQ connector: what goes out, what comes in, and how it ends.

post, call ──▶ notes, bell ──▶ run ─┬─ Executors: requests out, answers in
                                    ├─ Askers: requests in, answers out
                                    └─ Delivery: to our own world, and back to it
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from errno import EMFILE, ENFILE

import zmq

from dynflow_mp.connectors.admission import Admission
from dynflow_mp.connectors.askers import Askers
from dynflow_mp.connectors.connector import Directory, Receiver
from dynflow_mp.connectors.doorkeeper import Doorkeeper
from dynflow_mp.connectors.endpoints import Place
from dynflow_mp.connectors.executors import Executors
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.connectors.post_office import Office
from dynflow_mp.errors import ConnectorError, DynflowError, NoExecutor
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.telemetry import logger

log = logger("connectors.exchange")

_RETRY_S = 0.01
"""How soon to try again to answer an asker whose connection was full."""


class Exchange(Office):
    """The office that has ZeroMQ's sockets. Others may read ``endpoint``, too.

    ``place`` is where it listens; None: nowhere.
    """

    def __init__(
        self,
        receiver: Receiver,
        directory: Directory,
        refresh_s: float,
        linger_s: float,
        keys: KeyPair | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(receiver, linger_s)
        self.endpoint: str | None = None
        self.doorkeeper: Doorkeeper | None = None
        """Only where this world listens on TCP."""
        self._directory, self._keys, self._place = directory, keys, place
        self._takes_work = receiver.takes_work
        self._refresh_s = refresh_s
        self._context = self._new_context()
        self._poller = zmq.Poller()
        self._askers = Askers(self._poller, self.delivery, linger_s)
        self._executors = Executors(self._context, self._poller, self.delivery, directory, refresh_s, keys)
        self._stop_by: float | None = None

    def _new_context(self) -> zmq.Context[zmq.Socket[bytes]]:
        try:
            return zmq.Context()
        except zmq.ZMQError as error:
            self._bell.close()
            raise ConnectorError(f"ZeroMQ cannot be used: {error}") from error

    # -- the thread ----------------------------------------------------------------------------

    def run(self, started: Future[None]) -> None:
        place = self._place
        try:
            self._poller.register(self._bell.fd, zmq.POLLIN)
            if place is not None:
                self.endpoint = self._askers.listen(self._context, place, self._guarded(place))
        except Exception as error:
            try:
                self._close()
            finally:
                started.set_exception(_in_our_words(error))
            return
        if not self._takes_work:
            # Connected before the first request, a client need not wait with it.
            self.call(self._executors.refresh)
        started.set_result(None)
        try:
            while not self._finished():
                self._turn()
        finally:
            self._close()

    def _guarded(self, place: Place) -> Doorkeeper | None:
        if self._keys is None or not place.endpoint.startswith("tcp://"):
            return None
        admission = Admission(self._directory.keys, time.monotonic)
        self.doorkeeper = Doorkeeper(self._context, self._keys, admission)
        return self.doorkeeper

    def _turn(self) -> None:
        try:
            for source, events in self._poller.poll(self._wait_ms()):
                self._hear(source, events)
            self._askers.retry()
            now = time.monotonic()
            self._executors.give_up(now)
            self._askers.give_up(now)
            if self.delivery.balance.outstanding:
                self._executors.refresh_if_old()
        except Exception:
            # Whatever it was, all other worlds still want their messages, and other notes may wait.
            log.exception("the connector stumbled", extra={"action": "connector_stumbled"})
            self._bell.ring()

    def _wait_ms(self) -> int:
        if self._askers.waited_for or self._askers.untold:
            return int(_RETRY_S * 1000)
        if self._stop_by is not None or self._executors.waited_for:
            return 50
        if self.delivery.balance.outstanding or self._askers.expects:
            return int(self._refresh_s * 1000)
        return 5_000

    def _hear(self, source: object, events: int) -> None:
        if source == self._bell.fd:
            self._bell.silence()
            for note in self._waiting_notes():
                if isinstance(note, Envelope):
                    self._send(note)
                else:
                    note()
        elif source is self._askers.socket:
            self._askers.hear()
        else:
            self._executors.hear(source, events)

    # -- sending -------------------------------------------------------------------------------

    def _send(self, envelope: Envelope) -> None:
        try:
            if envelope.receiver_id == ANY_EXECUTOR:
                self._send_to_any(envelope)
            elif envelope.receiver_id == self.delivery.world_id:
                self._deliver_here(envelope.to_bytes())
            elif envelope.is_request:
                self._executors.ask(envelope.receiver_id, envelope, envelope.to_bytes())
            else:
                self._askers.answer(envelope)
        except DynflowError as error:
            self.delivery.give_back(envelope, error)

    def _send_to_any(self, envelope: Envelope) -> None:
        message, ours = envelope.message, envelope.sender_id == self.delivery.world_id
        queue = message.queue if isinstance(message, Execution) else "default"
        executor = self._executors.choose(queue, self._takes_work and ours)
        if executor is None:
            raise NoExecutor("no executor is there", getattr(message, "plan_id", None))
        data = envelope._replace(receiver_id=executor.world_id).to_bytes()
        if ours:  # another world hears the answers of what we hand over
            self.delivery.balance.sent(envelope, executor)
        if executor.world_id == self.delivery.world_id:
            self._deliver_here(data)
        else:
            self._executors.ask(executor.world_id, envelope, data)

    def _deliver_here(self, data: bytes) -> None:
        """To ourselves, the same way as to others: as bytes."""
        self.delivery.deliver(Envelope.from_bytes(data))

    def refuse_new_work(self) -> None:
        self._takes_work = False

    # -- the end -------------------------------------------------------------------------------

    def abandon(self) -> None:
        self._close()

    def begin_to_stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self.linger_s

    def _finished(self) -> bool:
        if self._stop_by is None:
            return False
        if time.monotonic() >= self._stop_by:
            return True
        if self._notes or self._askers.waited_for or self._executors.waited_for:
            return False
        self._askers.say_farewell()
        return self._askers.all_through

    def _close(self) -> None:
        left = max(0.0, (self._stop_by or 0.0) - time.monotonic())
        linger_ms = int(left * 1000)
        self._executors.close(linger_ms)
        self._askers.close(linger_ms)
        # Returns when all that was sent has left, or the sockets have lingered long enough.
        self._context.term()
        for note in self._waiting_notes():
            if isinstance(note, Envelope):
                self.delivery.give_back(note, ConnectorError("the connector has stopped"))
        self._bell.close()
        if self._place is not None:
            self._place.release()


def _in_our_words(error: Exception) -> Exception:
    """Why it could not begin."""
    if not isinstance(error, zmq.ZMQError):
        return error
    remedy = ": raise the limit of open files (ulimit -n)" if error.errno in (EMFILE, ENFILE) else ""
    return ConnectorError(f"there is no socket to be had for this world: {error}{remedy}")
