"""Worlds of one process: the same envelopes as between processes, without a wire."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from dynflow_mp.connectors.balance import Balance
from dynflow_mp.connectors.connector import Connector, Executor, Receiver
from dynflow_mp.errors import ConnectorError, DynflowError, NoExecutor, UnknownReceiver
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.telemetry import logger

log = logger("connectors.direct")

_STOP_S = 5.0


class DirectConnector(Connector):
    """Shared by the worlds of one process. Each world has a mailbox with a thread that delivers.

    Envelopes travel as bytes, so that whatever works here works on a wire too. The tables are guarded
    by one lock, held for look-ups only.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._mailboxes: dict[str, _Mailbox] = {}
        self._takers: dict[str, Executor] = {}
        self._balance = Balance()

    def start_listening(self, receiver: Receiver) -> None:
        world_id = receiver.world_id
        with self._guard:
            known = self._mailboxes.get(world_id)
            if known is not None and known.receiver is not receiver:
                raise ConnectorError(f"another world {world_id} listens here already")
            if known is None:
                self._mailboxes[world_id] = _Mailbox(receiver)
            if receiver.takes_work:
                self._takers[world_id] = Executor(world_id, None, {})

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        with self._guard:
            self._takers.pop(receiver.world_id, None)

    def stop_listening(self, receiver: Receiver) -> None:
        with self._guard:
            self._takers.pop(receiver.world_id, None)
            mailbox = self._mailboxes.pop(receiver.world_id, None)
        if mailbox is not None:
            mailbox.close()

    def send(self, envelope: Envelope) -> None:
        with self._guard:
            sender = self._mailboxes.get(envelope.sender_id)
            try:
                self._post(envelope)
            except DynflowError as error:
                failure = error
            else:
                return
        if sender is None:
            log.debug(
                "an envelope of a world that is gone went nowhere",
                extra={"action": "envelope_dropped", "request_id": envelope.request_id},
            )
        else:
            sender.put_back(envelope, failure)

    def settled(self, request_id: str) -> None:
        with self._guard:
            self._balance.settled(request_id)

    def _post(self, envelope: Envelope) -> None:
        if envelope.receiver_id == ANY_EXECUTOR:
            executor = self._choose(envelope)
            addressed = envelope._replace(receiver_id=executor.world_id)
            data = addressed.to_bytes()
            self._balance.sent(envelope, executor)
        else:
            addressed = envelope
            data = envelope.to_bytes()
            self._balance.answered(envelope)
        mailbox = self._mailboxes.get(addressed.receiver_id)
        if mailbox is None:
            raise UnknownReceiver(f"no world {addressed.receiver_id} shares this connector")
        mailbox.put(data)

    def _choose(self, envelope: Envelope) -> Executor:
        message = envelope.message
        queue = message.queue if isinstance(message, Execution) else "default"
        takers = [
            taker for taker in self._takers.values() if self._mailboxes[taker.world_id].receiver.takes_work
        ]
        executor = self._balance.choose(takers, queue)
        if executor is None:
            raise NoExecutor("no executor is there", getattr(message, "plan_id", None))
        return executor


class _Returned:
    """An envelope that comes back, and why."""

    __slots__ = ("envelope", "error")

    def __init__(self, envelope: Envelope, error: DynflowError) -> None:
        self.envelope, self.error = envelope, error


class _Mailbox:
    """What waits for one world, and the thread that hands it over in order."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._letters: SimpleQueue[bytes | _Returned | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._deliver_all, name=f"dynflow connector {receiver.world_id[:8]}", daemon=True
        )
        self._thread.start()

    def put(self, data: bytes) -> None:
        self._letters.put(data)

    def put_back(self, envelope: Envelope, error: DynflowError) -> None:
        self._letters.put(_Returned(envelope, error))

    def close(self) -> None:
        self._letters.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def _deliver_all(self) -> None:
        while (letter := self._letters.get()) is not None:
            try:
                self._deliver(letter)
            except Exception:
                log.exception("an envelope could not be delivered", extra={"action": "delivery_failed"})

    def _deliver(self, letter: bytes | _Returned) -> None:
        if isinstance(letter, _Returned):
            self.receiver.undeliverable(letter.envelope, letter.error)
        else:
            self.receiver.receive(Envelope.from_bytes(letter))
