"""The executors this world knows: who is there, who is connected, who gets a request.

directory (at most once in ``refresh_s``) ──▶ listed ──▶ Peer: a DEALER to each
                                                └── Balance chooses among those who can be reached
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import zmq

from dynflow_mp.connectors.connector import Directory, Executor
from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.connectors.endpoints import check_endpoint
from dynflow_mp.connectors.keys import KeyPair, check_key
from dynflow_mp.connectors.peers import FAREWELL, MESSAGES_A_TURN, Credentials, Peer, Waiting, push_all
from dynflow_mp.errors import (
    ConfigError,
    ConnectorError,
    PeerBusy,
    PersistenceError,
    ProtocolError,
    UnknownReceiver,
)
from dynflow_mp.model.messages import Envelope
from dynflow_mp.telemetry import logger

log = logger("connectors.executors")

_KEEP_UNLISTED_S = 5.0
_MOST_UNKNOWN = 10_000


class Executors:
    """Owned by the connector's thread, on which the directory is asked."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        poller: zmq.Poller,
        delivery: Delivery,
        directory: Directory,
        refresh_s: float,
        keys: KeyPair | None,
    ) -> None:
        self._context, self._poller, self._delivery = context, poller, delivery
        self._keys = keys
        self._directory, self._refresh_s = directory, refresh_s
        self._listed: Sequence[Executor] = ()
        self._refreshed_at = float("-inf")
        self._peers: dict[str, Peer] = {}
        self._peer_of_socket: dict[object, Peer] = {}
        self._unknown: dict[str, float] = {}
        self._refused_by: set[str] = set()

    # -- who is there --------------------------------------------------------------------------

    def refresh_if_old(self) -> None:
        """Ask the directory again, unless it was asked a moment ago."""
        if time.monotonic() - self._refreshed_at >= self._refresh_s:
            self.refresh()

    def refresh(self) -> None:
        """Ask the directory, connect to who is new, leave who is gone."""
        self._refreshed_at = now = time.monotonic()
        try:
            self._listed = tuple(self._directory.executors())
        except (ConfigError, PersistenceError) as error:
            log.warning(
                "the directory could not be read, the last one is used: %s",
                error,
                extra={"action": "directory_failed"},
            )
            return
        self._unknown.clear()
        for peer in self._peers.values():
            self._knock_again(peer)
        for executor in self._listed:
            if executor.world_id not in self._peers and executor.endpoint is not None:
                self._connect(executor.world_id, executor.endpoint, executor.key)
        self._leave_unlisted(now)

    def _connect(self, world_id: str, endpoint: str, key: str | None) -> Peer | None:
        own_id = self._delivery.world_id
        if world_id == own_id:
            return None
        try:
            credentials = self._credentials(endpoint, key)
            check_endpoint(endpoint, encrypted=credentials is not None)
            peer = Peer(self._context, own_id, world_id, endpoint, credentials)
        except (ConfigError, ConnectorError, zmq.ZMQError) as error:
            log.warning(
                "world %s cannot be connected to: %s", world_id, error, extra={"action": "connect_failed"}
            )
            return None
        self._peers[world_id] = peer
        self._peer_of_socket[peer.socket] = peer
        self._poller.register(peer.socket, zmq.POLLIN)
        return peer

    def _knock_again(self, peer: Peer) -> None:
        if peer.come_again_if_refused() and peer.world_id not in self._refused_by:
            self._refused_by.add(peer.world_id)
            log.warning(
                "%s refuses this world, or does not have the key of world %s; trying again",
                peer.endpoint,
                peer.world_id,
                extra={"action": "refused_by_peer", "world": peer.world_id},
            )

    def _credentials(self, endpoint: str, key: str | None) -> Credentials | None:
        """Over TCP we speak to a key, not to whoever has the port. Raises ConfigError, ConnectorError."""
        if not endpoint.startswith("tcp://") or (key is None and self._keys is None):
            return None
        if key is None:
            raise ConnectorError(f"{endpoint}: its record has no key that it could prove to have")
        if self._keys is None:
            raise ConnectorError(f"{endpoint}: it wants CURVE, which this world does not have")
        return Credentials(self._keys, check_key(key, f"the key of {endpoint}"))

    def _leave_unlisted(self, now: float) -> None:
        """Let go of connections that are down and whose worlds are not listed any more.

        A world that drains is not listed but still answers: while its connection stands, it stays.
        """
        listed = {executor.world_id for executor in self._listed}
        for world_id, peer in list(self._peers.items()):
            if world_id in listed or peer.reachable:
                peer.unlisted_since = None
            elif peer.unlisted_since is None:
                peer.unlisted_since = now
            elif now - peer.unlisted_since > _KEEP_UNLISTED_S:
                self._leave(peer)

    def _leave(self, peer: Peer) -> None:
        del self._peers[peer.world_id]
        del self._peer_of_socket[peer.socket]
        self._refused_by.discard(peer.world_id)
        self._poller.unregister(peer.socket)
        peer.close(0)
        self._delivery.give_back_all(peer.outbox.everything(), f"world {peer.world_id} has gone")

    # -- who gets it ---------------------------------------------------------------------------

    def choose(self, queue: str, ours: bool) -> Executor | None:
        """Who gets a request: executors we are connected to first, then those we are still connecting to.

        ``ours``: whether this world itself may take it; never what it hands over to another.
        """
        self.refresh_if_old()
        here = [executor for executor in self._listed if self._can_take(executor, ours)]
        connected = [executor for executor in here if self._is_connected(executor)]
        return self._delivery.balance.choose(connected or here, queue)

    def _can_take(self, executor: Executor, ours: bool) -> bool:
        if executor.world_id == self._delivery.world_id:
            return ours
        return executor.world_id in self._peers

    def _is_connected(self, executor: Executor) -> bool:
        world_id = executor.world_id
        return world_id == self._delivery.world_id or self._peers[world_id].reachable

    # -- asking --------------------------------------------------------------------------------

    def ask(self, world_id: str, envelope: Envelope, data: bytes) -> None:
        """Send a request to that world, now or when there is room.

        Raises :class:`UnknownReceiver` for a world that listens nowhere, :class:`PeerBusy` when too
        much waits for it.
        """
        peer = self._peer_named(world_id)
        if not peer.outbox:
            try:
                peer.push(data)
            except zmq.Again:
                self._poller.register(peer.socket, zmq.POLLIN | zmq.POLLOUT)
            else:
                return
        if not peer.outbox.put(Waiting(envelope, data, time.monotonic())):
            raise PeerBusy(f"too much waits for world {world_id}")

    def _peer_named(self, world_id: str) -> Peer:
        peer = self._peers.get(world_id)
        if peer is not None:
            return peer
        now = time.monotonic()
        if now >= self._unknown.get(world_id, now):
            self._unknown.pop(world_id, None)
            # Who only asks by name never chooses: those it knew that are gone are left now, or they would become more and more.
            self.refresh_if_old()
            if world_id in self._peers:
                return self._peers[world_id]
            endpoint, key = self._address_of(world_id)
            if endpoint is not None:
                peer = self._connect(world_id, endpoint, key)
            if peer is not None:
                return peer
            if len(self._unknown) > _MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[world_id] = now + self._refresh_s
        raise UnknownReceiver(f"world {world_id} cannot be reached: it listens nowhere")

    def _address_of(self, world_id: str) -> tuple[str | None, str | None]:
        """Its endpoint and key."""
        try:
            endpoint = self._directory.endpoint(world_id)
            if endpoint is None or not endpoint.startswith("tcp://") or self._keys is None:
                return endpoint, None
            return endpoint, self._directory.keys().get(world_id)
        except (ConfigError, PersistenceError) as error:
            raise UnknownReceiver(f"world {world_id} cannot be looked up: {error}") from error

    @property
    def waited_for(self) -> bool:
        """Whether requests wait for a connection or for room."""
        return any(peer.outbox for peer in self._peers.values())

    def give_up(self, now: float) -> None:
        """Give back what has waited too long."""
        for peer in list(self._peers.values()):
            if peer.outbox:
                self._knock_again(peer)
                self._delivery.give_back_all(
                    peer.outbox.overdue(now), f"world {peer.world_id} does not take messages"
                )

    # -- hearing -------------------------------------------------------------------------------

    def hear(self, socket: object, events: int) -> None:
        """Take what came on this socket, a bounded amount."""
        peer = self._peer_of_socket.get(socket)
        if peer is None:
            return  # left since it was polled
        if events & zmq.POLLOUT and push_all(peer):
            self._poller.register(peer.socket, zmq.POLLIN)
        for _ in range(MESSAGES_A_TURN):
            try:
                frames = peer.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            if self._delivery.listens_to(peer.world_id.encode()):
                self._hear_one(peer, frames)

    def _hear_one(self, peer: Peer, frames: list[bytes]) -> None:
        try:
            if len(frames) != 1:
                raise ProtocolError(f"a message of {len(frames)} frames")
            if frames[0]:
                envelope = Envelope.from_bytes(frames[0])
                _check_answer(envelope, peer.world_id)
                self._delivery.deliver(envelope)
            else:
                _return_farewell(peer)
        except ProtocolError as error:
            self._delivery.refuse(peer.world_id.encode(), error)

    # -- the end -------------------------------------------------------------------------------

    def close(self, linger_ms: int) -> None:
        """What libzmq has taken may still leave for so long; what waits comes back."""
        for peer in self._peers.values():
            peer.close(linger_ms)
            self._delivery.give_back_all(peer.outbox.everything(), "the connector has stopped")


def _check_answer(envelope: Envelope, world_id: str) -> None:
    """Over our own connection to an executor come its answers, and nothing else."""
    if envelope.is_request:
        raise ProtocolError(f"a request, {type(envelope.message).__name__}, where answers come")
    if envelope.sender_id != world_id:
        raise ProtocolError(f"an answer in the name of world {envelope.sender_id} by world {world_id}")


def _return_farewell(peer: Peer) -> None:
    """The executor is ending: tell it that all its answers were read."""
    with suppress(zmq.Again):  # gone already
        peer.push(FAREWELL)
