"""The connector's last step: what came goes to the world, and so does what could not be sent."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.connectors.balance import Balance
from dynflow_mp.connectors.connector import Receiver
from dynflow_mp.errors import DynflowError, NoExecutor, ProtocolError, UnknownReceiver
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope
from dynflow_mp.telemetry import logger

log = logger("connectors.delivery")

_STRIKES = 10
"""Damaged messages within a minute after which a peer is not listened to any more."""
_A_MINUTE_S = 60.0
_MOST_REMEMBERED = 10_000


class _Strikes(NamedTuple):
    """How many damaged messages came from a peer since ``since``."""

    number: int
    since: float


class Delivery:
    """The one world a connector serves, as its thread sees it, and who sends it what is damaged."""

    def __init__(self, receiver: Receiver) -> None:
        self.world_id = receiver.world_id
        self.balance = Balance()
        """What our own requests fill elsewhere, until they are answered or come back."""
        self.protocol_errors = 0
        """How many messages were refused because they were not ours, or damaged."""
        self._receiver = receiver
        self._strikes: dict[bytes, _Strikes] = {}

    def deliver(self, envelope: Envelope) -> None:
        """Hand it over. Raises :class:`ProtocolError` if it is for somebody else."""
        if envelope.receiver_id != self.world_id:
            raise ProtocolError(f"an envelope for world {envelope.receiver_id}, who is not here")
        if not envelope.is_request:
            self.balance.answered(envelope)
        try:
            self._receiver.receive(envelope)
        except Exception:
            log.exception("an envelope could not be delivered", extra={"action": "delivery_failed"})

    def give_back(self, envelope: Envelope, error: DynflowError) -> None:
        """It went nowhere, because of ``error``."""
        if envelope.sender_id != self.world_id:
            return  # sent for another world: it looks after its request itself
        if envelope.is_request:
            self.balance.settled(envelope.request_id)
        try:
            self._receiver.undeliverable(envelope, error)
        except Exception:
            log.exception("a returned envelope was not taken", extra={"action": "delivery_failed"})

    def give_back_all(self, envelopes: Iterable[Envelope], why: str) -> None:
        """They waited for a world that does not take them any more."""
        for envelope in envelopes:
            if envelope.receiver_id == ANY_EXECUTOR:
                plan_id = getattr(envelope.message, "plan_id", None)
                self.give_back(envelope, NoExecutor(why, plan_id))
            else:
                self.give_back(envelope, UnknownReceiver(why))

    def listens_to(self, peer: bytes) -> bool:
        """Whether a peer may still speak: not after too many damaged messages."""
        strikes = self._strikes.get(peer) if self._strikes else None
        return strikes is None or strikes.number < _STRIKES

    def refuse(self, peer: bytes, error: ProtocolError) -> None:
        """A message of this peer's was not ours, or damaged."""
        self.protocol_errors += 1
        if len(self._strikes) > _MOST_REMEMBERED:
            self._strikes.clear()
        now = time.monotonic()
        before = self._strikes.get(peer, _Strikes(0, now))
        if now - before.since > _A_MINUTE_S:
            before = _Strikes(0, now)
        strikes = self._strikes[peer] = before._replace(number=before.number + 1)
        if strikes.number in (1, _STRIKES):
            log.warning(
                "refused a message: %s%s",
                error,
                "; this peer is not listened to any more" if strikes.number == _STRIKES else "",
                extra={"action": "protocol_error"},
            )
