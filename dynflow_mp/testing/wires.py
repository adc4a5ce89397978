"""How client and executor of an in-thread world speak: real envelopes, delivered when the world goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty
from typing import Any

from dynflow_mp.clock import monotonic
from dynflow_mp.connectors.connector import Connector, Receiver
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.dispatchers.decisions import LookUp
from dynflow_mp.dispatchers.notifier import Notifier
from dynflow_mp.errors import UnknownReceiver
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope


class _InThreadFuture(Future[Any]):
    """Nobody else could resolve it while this thread waited, so nobody waits."""

    def result(self, timeout: float | None = None) -> Any:
        self._require_done()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._require_done()
        return super().exception(timeout)

    def _require_done(self) -> None:
        if not self.done():
            raise TimeoutError(
                "nothing is left to do, and this request has no answer: a step waits for an event (world.event), for its "
                "time (world.clock, unless the world jumps), or it is this step that asks"
            )


class InThreadConnector(Connector):
    """Keeps envelopes, as bytes, until :meth:`deliver`. ``executor`` is who takes requests just now."""

    def __init__(self, client: Receiver) -> None:
        self.executor: tuple[str, Callable[[Envelope], None]] | None = None
        self._client = client
        self._letters: deque[bytes] = deque()

    def start_listening(self, receiver: Receiver) -> None:
        """The only ones here are known from the beginning."""

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        self.executor = None

    def stop_listening(self, receiver: Receiver) -> None:
        self._letters.clear()

    def send(self, envelope: Envelope) -> None:
        self._letters.append(envelope.to_bytes())

    def deliver(self) -> bool:
        """Hand over what has been sent; False if that was nothing."""
        letters, self._letters = self._letters, deque()
        for letter in letters:
            self._deliver(Envelope.from_bytes(letter))
        return bool(letters)

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.receiver_id == self._client.world_id:
            self._client.receive(envelope)
        elif self.executor is not None and envelope.receiver_id in (ANY_EXECUTOR, self.executor[0]):
            if envelope.is_request:  # what it asked for itself, unattended, has an answer that nobody awaits
                self.executor[1](envelope)
        elif envelope.sender_id == self._client.world_id:
            gone = UnknownReceiver(f"no world {envelope.receiver_id} is here")
            self._client.undeliverable(envelope, gone)


class InThreadClient(ClientDispatcher):
    """A client dispatcher without a thread: every request makes the world go on before its future is returned.

    Nothing is lost here, so it never asks again.
    """

    future_kind = _InThreadFuture

    def __init__(self, *args: Any, go_on: Callable[[], None], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._notifier = _AtOnce()
        self._go_on = go_on

    def start(self) -> None:
        """There is no thread to start."""

    def _publish(self, decide: Any, request_id: str | None = None, audit: Audit | None = None) -> Any:
        future = super()._publish(decide, request_id, audit)
        self._go_on()
        return future

    def deliver(self) -> bool:
        """Do what was asked and hear what was answered; False if there was nothing."""
        heard = False
        while True:
            try:
                note = self._inbox.get_nowait()
            except Empty:
                return heard
            heard = True
            self._carry_out(self._heard(note, monotonic()))

    def look(self) -> bool:
        """See what has become of plans that somebody else has asked for; whether that answers a request."""
        open_before, watched = self.open_requests, self._decisions.watched
        if watched:
            self._carry_out([LookUp(watched)])
        return self.open_requests < open_before


class _AtOnce(Notifier):
    """Futures are resolved where it is known what with; what a callback raises is logged by the future itself."""

    def put(self, task: Callable[[], object]) -> None:
        task()

    def finish(self, timeout_s: float) -> None:
        """Nothing waits."""
