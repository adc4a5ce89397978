"""The two kinds of ways out of a world over ZeroMQ, each with what waits for it.

    asker                                            executor
    Peer: DEALER ═══ probe, requests ══════════════▶ ROUTER
                 ◀══ answers, farewell ════════════ Route: one asker's identity on that ROUTER

A DEALER's routing id is its world's id and chance; libzmq sends an empty probe on every connection
(also the second, after one broke), so the executor knows whom it can answer before anything is asked.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import zmq

from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.messages import MAX_ENVELOPE, Envelope, may_be_an_id

HIGH_WATER_MARK = 1000
"""Per connection and direction, inside libzmq: an alarm, our own queues are the bound."""

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 * 1024 * 1024

_PEER_PATIENCE_S = 0.5
"""How long a request may wait for a connection: less than its sender waits for an answer."""

MESSAGES_A_TURN = 256
"""Messages taken from one socket before the others have their turn."""

FAREWELL = b""
"""An executor's last message on a connection, sent back by the asker once it has read all before it."""

_MARK = b"~"

_REFUSALS = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH) | int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)


class Waiting(NamedTuple):
    """An envelope that could not be sent yet."""

    envelope: Envelope
    data: bytes
    since: float


class Outbox:
    """What waits for one connection to have room, in order and bounded in number and bytes.

    A connection that is slow may take its time; one that takes nothing at all for ``patience_s`` is
    given up, and what waited as long comes back. Time in which nobody looked, because this process
    did not run, tells nothing about the connection: it does not count.
    """

    __slots__ = ("_bytes", "_looked_at", "_moved_at", "_waiting", "patience_s")

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._moved_at = self._looked_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, waiting: Waiting) -> bool:
        """Keep it, unless the outbox is full: then False. One alone fits, whatever its size."""
        if not self._waiting:
            self._moved_at = self._looked_at = waiting.since
        elif len(self._waiting) >= MAX_WAITING or self._bytes + len(waiting.data) > MAX_WAITING_BYTES:
            return False
        self._waiting.append(waiting)
        self._bytes += len(waiting.data)
        return True

    def first(self) -> bytes:
        """What is to be sent next."""
        return self._waiting[0].data

    def sent(self, now: float) -> None:
        """The first is on its way."""
        self._take()
        self._moved_at = now

    def overdue(self, now: float) -> Iterator[Envelope]:
        """Take out, oldest first, what has waited too long on a connection that stands still. To be asked often."""
        unwatched_s, self._looked_at = now - self._looked_at, now
        if unwatched_s > self.patience_s / 2:
            self._moved_at = min(now, self._moved_at + unwatched_s)
        if now - self._moved_at >= self.patience_s:
            while self._waiting and now - self._waiting[0].since >= self.patience_s:
                yield self._take()

    def everything(self) -> Iterator[Envelope]:
        """Take out all there is."""
        while self._waiting:
            yield self._take()

    def _take(self) -> Envelope:
        waiting = self._waiting.popleft()
        self._bytes -= len(waiting.data)
        return waiting.envelope


class Route:
    """The way back to one asker: its identity on our ROUTER, and the key its connection proved to have."""

    __slots__ = ("_router", "identity", "key", "outbox")

    def __init__(
        self, router: zmq.Socket[bytes], identity: bytes, outbox: Outbox, key: str | None = None
    ) -> None:
        self._router, self.identity, self.outbox, self.key = router, identity, outbox, key

    def push(self, data: bytes) -> None:
        """Send at once. Raises zmq.Again when there is no room, ZMQError(EHOSTUNREACH) when it is gone."""
        self._router.send_multipart([self.identity, data], zmq.DONTWAIT)


class Credentials(NamedTuple):
    """What a CURVE connection needs: our own keys, and the key that the other end must prove to have."""

    own: KeyPair
    theirs: str


class Peer:
    """Our connection to one executor."""

    __slots__ = ("_events", "_own_id", "endpoint", "outbox", "socket", "unlisted_since", "world_id")

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        own_id: str,
        world_id: str,
        endpoint: str,
        credentials: Credentials | None = None,
    ) -> None:
        self.world_id, self.endpoint = world_id, endpoint
        self.outbox = Outbox(_PEER_PATIENCE_S)
        self.unlisted_since: float | None = None
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        self._own_id = own_id
        self._events: zmq.Socket[bytes] | None = None
        try:
            if credentials is not None:
                self._encrypt(credentials)
                self._events = _listened_to(self.socket, context)
            self._connect()
        except zmq.ZMQError:
            self.close(0)
            raise

    def _encrypt(self, credentials: Credentials) -> None:
        self.socket.set(zmq.CURVE_SERVERKEY, credentials.theirs.encode())
        self.socket.set(zmq.CURVE_PUBLICKEY, credentials.own.public.encode())
        self.socket.set(zmq.CURVE_SECRETKEY, credentials.own.secret.encode())

    def _connect(self) -> None:
        tune(self.socket, self.endpoint)
        # Without IMMEDIATE a connection to nothing accepts messages nobody will ever get.
        self.socket.set(zmq.IMMEDIATE, 1)
        self.socket.set(zmq.PROBE_ROUTER, 1)
        self.socket.set(zmq.ROUTING_ID, identity_of(self._own_id))
        self.socket.connect(self.endpoint)

    def come_again_if_refused(self) -> bool:
        """Connect anew if a handshake failed, for libzmq then may not do so by itself; whether one had.

        Our key may not have been read there yet.
        """
        refused = False
        while self._events is not None and self._events.poll(0):
            self._events.recv_multipart()
            refused = True
        if refused:
            with suppress(zmq.ZMQError):  # it has given up already
                self.socket.disconnect(self.endpoint)
            self._connect()
        return refused

    def close(self, linger_ms: int) -> None:
        """What libzmq has taken may still leave for so long."""
        if self._events is not None:
            self.socket.monitor(None, 0)
            self._events.close(0)
        self.socket.close(linger_ms)

    @property
    def reachable(self) -> bool:
        """Whether a connection stands and has room."""
        return bool(int(self.socket.get(zmq.EVENTS)) & zmq.POLLOUT)

    def push(self, data: bytes) -> None:
        """Send at once. Raises zmq.Again when there is no connection or no room."""
        self.socket.send(data, zmq.DONTWAIT)


def _listened_to(socket: zmq.Socket[bytes], context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """Where libzmq tells of handshakes that failed."""
    address = f"inproc://dynflow-peer-{secrets.token_hex(8)}"
    socket.monitor(address, _REFUSALS)
    events: zmq.Socket[bytes] = context.socket(zmq.PAIR)
    events.set(zmq.LINGER, 0)
    events.set(zmq.RCVHWM, 0)  # libzmq never waits for us
    events.connect(address)
    return events


def push_all(way: Peer | Route) -> bool:
    """Send what waits while there is room; True when nothing waits any more."""
    now = time.monotonic()
    while way.outbox:
        try:
            way.push(way.outbox.first())
        except zmq.Again:
            return False
        way.outbox.sent(now)
    return True


def identity_of(world_id: str) -> bytes:
    """A routing id never used before. A routing id that comes back could be ignored for ever."""
    return world_id.encode() + _MARK + secrets.token_hex(8).encode()


def world_of(identity: bytes) -> str:
    """Whose routing id this is. Raises :class:`ProtocolError` if it is not one of ours."""
    world_id, mark, chance = identity.rpartition(_MARK)
    if not mark or not world_id or len(chance) != 16:
        raise ProtocolError("a peer that does not say which world it is")
    # It will stand in logs, and others' answers are sent to it.
    text = world_id.decode("utf-8", "replace")
    if not may_be_an_id(text):
        raise ProtocolError("a peer whose world id cannot be one")
    return text


def tune(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """The options both ends share: bounded, non-lingering, and with a pulse that shows a frozen peer."""
    local = endpoint.startswith("ipc://")
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDHWM, HIGH_WATER_MARK)
    socket.set(zmq.RCVHWM, HIGH_WATER_MARK)
    socket.set(zmq.MAXMSGSIZE, MAX_ENVELOPE + 64 * 1024)
    socket.set(zmq.HANDSHAKE_IVL, 5_000)
    socket.set(zmq.HEARTBEAT_IVL, 2_000 if local else 1_000)
    socket.set(zmq.HEARTBEAT_TIMEOUT, 6_000 if local else 3_000)
    socket.set(zmq.HEARTBEAT_TTL, 6_000 if local else 3_000)
    socket.set(zmq.RECONNECT_IVL, 100)
    socket.set(zmq.RECONNECT_IVL_MAX, 5_000)
    if not local:
        socket.set(zmq.TCP_KEEPALIVE, 1)
        socket.set(zmq.IPV6, int("[" in endpoint))
