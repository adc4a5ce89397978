"""The worlds that ask us: heard and answered over the one ROUTER that this world listens with.

asker ══ probe, requests ══▶ ROUTER ──▶ delivery
      ◀══ answers, farewell ═══ Route, with what waits while it is full
      ┄┄ not connected yet: an Outbox, until it is
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterable

import zmq

from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.connectors.doorkeeper import Doorkeeper
from dynflow_mp.connectors.endpoints import Place, cannot_listen
from dynflow_mp.connectors.peers import (
    FAREWELL,
    MESSAGES_A_TURN,
    Outbox,
    Route,
    Waiting,
    push_all,
    tune,
    world_of,
)
from dynflow_mp.errors import ConnectorError, PeerBusy, ProtocolError, UnknownReceiver
from dynflow_mp.model.messages import Envelope, Execution
from dynflow_mp.telemetry import logger

log = logger("connectors.askers")

_MAX_ROUTES = 10_000
_EXPECTED_S = 3.0
"""An executor that takes plans over as it starts answers their clients before these have found it. They look for
executors once a second while they wait for something, so they will be here in a moment."""


class Askers:
    """Owned by the connector's thread. Without a ``Place`` to listen at there are none."""

    def __init__(self, poller: zmq.Poller, delivery: Delivery, linger_s: float) -> None:
        self.socket: zmq.Socket[bytes] | None = None
        self._poller, self._delivery, self._linger_s = poller, delivery, linger_s
        self._routes: dict[str, Route] = {}
        self._full: dict[str, Route] = {}
        self._expected: dict[str, Outbox] = {}
        self._doorkeeper: Doorkeeper | None = None
        self._local = False
        self._untold: list[Route] | None = None
        self._not_through: set[bytes] = set()

    def listen(
        self, context: zmq.Context[zmq.Socket[bytes]], place: Place, doorkeeper: Doorkeeper | None
    ) -> str:
        """Open the ROUTER, behind a ``doorkeeper`` on TCP; returns the endpoint it got.

        Raises :class:`ConnectorError`.
        """
        self._doorkeeper = doorkeeper
        router: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self.socket = router
        tune(router, place.endpoint)
        router.set(zmq.ROUTER_MANDATORY, 1)
        # An asker that reconnects before its old connection is known to be dead must win.
        router.set(zmq.ROUTER_HANDOVER, 1)
        if doorkeeper is not None:
            doorkeeper.guard(router)
        self._local = place.endpoint.startswith("ipc://")
        try:
            router.bind(place.endpoint)
            place.secure()
        except (zmq.ZMQError, OSError) as error:
            raise ConnectorError(cannot_listen(place.endpoint, error)) from error
        self._poller.register(router, zmq.POLLIN)
        return str(router.get_string(zmq.LAST_ENDPOINT))

    # -- hearing -------------------------------------------------------------------------------

    def hear(self) -> None:
        """Take what came, a bounded amount."""
        assert self.socket is not None
        for _ in range(MESSAGES_A_TURN):
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            # What a connection has proved comes with its messages, but not with the identity before them.
            key = None if self._doorkeeper is None or len(frames) < 2 else _property(frames[1], "User-Id")
            identity = frames[0].bytes
            speaker = identity if key is None else key.encode()
            if self._delivery.listens_to(speaker):
                try:
                    self._hear_one(identity, key, frames[1:])
                except ProtocolError as error:
                    self._delivery.refuse(speaker, error)

    def _hear_one(self, identity: bytes, key: str | None, frames: list[zmq.Frame]) -> None:
        world_id = world_of(identity)
        if len(frames) != 1:
            raise ProtocolError(f"a message of {len(frames)} frames")
        self._check_speaker(world_id, key)
        route = self._routes.get(world_id)
        if route is None or route.identity != identity:
            if self._local:
                _check_user(frames[0])
            self._learn_route(world_id, identity, key)
        if len(frames[0]):
            envelope = Envelope.from_bytes(frames[0].bytes)
            _check_envelope(envelope, world_id)
            self._delivery.deliver(envelope)
        else:  # the probe of a new connection, or the answer to our farewell
            self._not_through.discard(identity)

    def _check_speaker(self, world_id: str, key: str | None) -> None:
        """A connection speaks for the living world whose key it has, and for no other."""
        if not self._is_in_register(world_id, key):
            raise ProtocolError(
                f"a peer that says it is world {world_id}, without a key of that living world"
            )

    def _is_in_register(self, world_id: str, key: str | None) -> bool:
        return self._doorkeeper is None or self._doorkeeper.admission.may_speak(key, world_id)

    def _learn_route(self, world_id: str, identity: bytes, key: str | None) -> None:
        assert self.socket is not None
        before = self._routes.pop(world_id, None)
        outbox = self._expected.pop(world_id, None) or Outbox(self._linger_s)
        outbox.patience_s = self._linger_s
        route = Route(self.socket, identity, outbox if before is None else before.outbox, key)
        self._routes[world_id] = route
        if route.outbox:
            self._full[world_id] = route
        if len(self._routes) > _MAX_ROUTES:
            del self._routes[next(iter(self._routes))]

    # -- answering -----------------------------------------------------------------------------

    def answer(self, envelope: Envelope) -> None:
        """Send an answer, now, or when there is room, or when its asker has found us.

        Raises :class:`UnknownReceiver` for a world that has gone, :class:`PeerBusy` when too much waits.
        """
        world_id = envelope.receiver_id
        route = self._routes.get(world_id)
        data = envelope.to_bytes()
        if route is None:
            self._expect(Waiting(envelope, data, time.monotonic()))
            return
        if not self._is_in_register(world_id, route.key):
            raise UnknownReceiver(f"world {world_id} is not in the register any more")
        try:
            if not route.outbox:
                route.push(data)
                return
        except zmq.Again:
            self._full[world_id] = route
        except zmq.ZMQError as error:
            self._forget(world_id, error)
            raise UnknownReceiver(f"world {world_id} has gone and cannot be answered") from error
        if not route.outbox.put(Waiting(envelope, data, time.monotonic())):
            raise PeerBusy(f"too much waits for world {world_id}")

    def _expect(self, answer: Waiting) -> None:
        """Keep an answer for a world that is not connected yet."""
        world_id = answer.envelope.receiver_id
        if world_id not in self._expected and len(self._expected) >= _MAX_ROUTES:
            raise PeerBusy(f"too many worlds are not connected, world {world_id} among them")
        if not self._expected.setdefault(world_id, Outbox(_EXPECTED_S)).put(answer):
            raise PeerBusy(f"too much waits for world {world_id}, which is not connected")

    def _forget(self, world_id: str, error: zmq.ZMQError) -> None:
        if error.errno != errno.EHOSTUNREACH:
            log.warning("an answer could not be sent: %s", error, extra={"action": "answer_failed"})
        self._full.pop(world_id, None)
        self._routes.pop(world_id, None)

    @property
    def waited_for(self) -> bool:
        """Whether answers wait for room: a ROUTER cannot be polled for one, so try again soon."""
        return bool(self._full)

    @property
    def expects(self) -> bool:
        """Whether answers wait for worlds that are not connected yet."""
        return bool(self._expected)

    def retry(self) -> None:
        """Send what waits, as far as there is room now."""
        for world_id, route in list(self._full.items()):
            try:
                if push_all(route):
                    del self._full[world_id]
            except zmq.ZMQError as error:
                self._forget(world_id, error)
                self._delivery.give_back_all(route.outbox.everything(), f"world {world_id} has gone")

    def give_up(self, now: float) -> None:
        """Give back what has waited too long."""
        for world_id, route in self._full.items():
            self._delivery.give_back_all(
                route.outbox.overdue(now), f"world {world_id} does not take messages"
            )
        for world_id, outbox in list(self._expected.items()):
            self._give_back_unanswered(world_id, outbox.overdue(now))
            if not outbox:
                del self._expected[world_id]

    def _give_back_unanswered(self, world_id: str, envelopes: Iterable[Envelope]) -> None:
        self._delivery.give_back_all(envelopes, f"world {world_id} is not connected and cannot be answered")

    # -- the end -------------------------------------------------------------------------------

    def say_farewell(self) -> None:
        """Have every asker read its answers: those it has not read when the connection ends, its socket
        throws away (a price of IMMEDIATE)."""
        if self._untold is None:
            self._untold = list(self._routes.values())
        self._untold = [route for route in self._untold if not self._told(route)]

    @property
    def untold(self) -> bool:
        """Whether an asker that should hear our farewell has no room for it yet."""
        return bool(self._untold)

    @property
    def all_through(self) -> bool:
        """Whether all that heard our farewell have read what came before it."""
        return not self._untold and not self._not_through

    def _told(self, route: Route) -> bool:
        """Whether this asker was told, or need not be."""
        if not self._is_in_register(world_of(route.identity), route.key):
            return True  # we would not hear that it has read it
        try:
            route.push(FAREWELL)
        except zmq.Again:
            return False  # full of answers it has not read: it is told when there is room
        except zmq.ZMQError:
            return True  # gone: we do not wait for whom we cannot tell
        self._not_through.add(route.identity)
        return True

    def close(self, linger_ms: int) -> None:
        """What libzmq has taken may still leave for so long."""
        for world_id, outbox in self._expected.items():
            self._give_back_unanswered(world_id, outbox.everything())
        if self._doorkeeper is not None:
            self._doorkeeper.stop(self.socket)
        if self.socket is not None:
            self.socket.close(linger_ms)


def _check_envelope(envelope: Envelope, world_id: str) -> None:
    """Whoever is asked this way hears requests, in the name of who asks.

    An executor that leaves, or takes a dead one's plan over, hands the plan on under its client's own request.
    """
    if not envelope.is_request:
        raise ProtocolError(f"an answer, {type(envelope.message).__name__}, where requests come")
    if envelope.sender_id != world_id and not isinstance(envelope.message, Execution):
        raise ProtocolError(f"a request in the name of world {envelope.sender_id} by world {world_id}")


def _check_user(frame: zmq.Frame) -> None:
    """Over ipc the kernel says who connected: this user, or root, who may do anything anyway."""
    address = _property(frame, "Peer-Address") or ""
    user = address.split(":")[1:2]
    if not user and not sys.platform.startswith("linux"):
        return  # not told here: the directory keeps others out
    if user not in (["0"], [str(os.geteuid())]):
        raise ProtocolError(f"a peer of another user ({address or 'nobody says whose'})")


def _property(frame: zmq.Frame, name: str) -> str | None:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return None  # it has none
