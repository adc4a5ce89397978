"""Worlds of several processes, over ZeroMQ.

    any thread: send ──▶ inbox, bell ──▶ connector thread ──▶ DEALER of the executor  (requests)
                                            │    ▲        ──▶ our ROUTER              (answers)
                          receiver.receive ◀┘    └── all sockets, directory

Only executors bind; everyone connects to every executor it may need, and is answered over its own
connection, also by an executor it never asked: that is how a successor finds it.
"""

from __future__ import annotations

import errno
import socket as sockets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress

import zmq

from dynflow_mp.connectors.balance import Balance
from dynflow_mp.connectors.connector import Connector, Directory, Executor, Receiver
from dynflow_mp.connectors.endpoints import Place, check_endpoint
from dynflow_mp.connectors.peers import Outbox, Peer, Route, Waiting, tune, world_of
from dynflow_mp.errors import (
    ConnectorError,
    DynflowError,
    NoExecutor,
    PeerBusy,
    PersistenceError,
    ProtocolError,
    UnknownReceiver,
)
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.telemetry import logger

log = logger("connectors.zeromq")

_START_S = 10.0
_PER_TURN = 256
"""Messages taken from one socket before the others have their turn."""

_RETRY_S = 0.01
"""How soon to try again to answer an asker whose connection was full: a ROUTER cannot be polled for one."""

_FAREWELL = b""
"""An executor's last message on a connection, sent back by the asker once it has read all before it."""

_KEEP_UNLISTED_S = 5.0
_MAX_ROUTES = 10_000
_STRIKES = 10
"""Damaged messages after which a peer is not listened to any more."""


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
        self._wire: _Wire | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str | None:
        wire = self._wire
        return None if wire is None else wire.endpoint

    @property
    def protocol_errors(self) -> int:
        """How many messages were refused because they were not ours, or damaged."""
        wire = self._wire
        return 0 if wire is None else wire.protocol_errors

    def start_listening(self, receiver: Receiver) -> None:
        with self._guard:
            if self._receiver is receiver:
                return
            if self._receiver is not None:
                raise ConnectorError("this connector serves another world already")
            place = Place.claim(self._listen) if self._listen or receiver.takes_work else None
            wire = _Wire(receiver, self._directory, self._refresh_s, self._linger_s)
            started: Future[None] = Future()
            thread = threading.Thread(
                target=wire.run, args=(place, started), name="dynflow connector", daemon=True
            )
            thread.start()
            started.result(_START_S)
            self._receiver, self._wire, self._thread = receiver, wire, thread

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        wire = self._wire
        if wire is not None:
            wire.call(wire.refuse_new_work)

    def stop_listening(self, receiver: Receiver) -> None:
        with self._guard:
            wire, thread = self._wire, self._thread
            self._receiver = self._wire = self._thread = None
        if wire is None or thread is None:
            return
        wire.call(wire.begin_to_stop)
        if thread is not threading.current_thread():
            thread.join(2 * self._linger_s + 5)

    def send(self, envelope: Envelope) -> None:
        wire = self._wire
        if wire is None:
            log.debug(
                "an envelope came after the connector stopped",
                extra={"action": "envelope_dropped", "request_id": envelope.request_id},
            )
        else:
            wire.post(envelope)

    def settled(self, request_id: str) -> None:
        wire = self._wire
        if wire is not None:
            wire.call(wire.balance.settled, request_id)


class _Bell:
    """Wakes the connector's thread out of its poll; rung many times, it rings once."""

    def __init__(self) -> None:
        self._hear, self._ring = sockets.socketpair()
        self._hear.setblocking(False)
        self._ring.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        return self._hear.fileno()

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            # Full means rung already; closed means nobody listens any more.
            with suppress(OSError):
                self._ring.send(b"!")

    def quiet(self) -> None:
        """Call before looking at what the bell was rung for: then nothing can be missed."""
        with suppress(BlockingIOError):
            self._hear.recv(16)
        self._rung = False

    def close(self) -> None:
        self._hear.close()
        self._ring.close()


_Note = Envelope | Callable[[], object]


class _Wire:
    """Everything the connector's thread owns. Others only call ``post``, ``call`` and read ``endpoint``."""

    def __init__(self, receiver: Receiver, directory: Directory, refresh_s: float, linger_s: float) -> None:
        self.endpoint: str | None = None
        self.balance = Balance()
        self.protocol_errors = 0
        self._receiver, self._world_id = receiver, receiver.world_id
        self._takes_work = receiver.takes_work
        self._directory, self._refresh_s, self._linger_s = directory, refresh_s, linger_s
        self._notes: deque[_Note] = deque()
        self._bell = _Bell()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._router: zmq.Socket[bytes] | None = None
        self._peers: dict[str, Peer] = {}
        self._peer_of_socket: dict[object, Peer] = {}
        self._routes: dict[str, Route] = {}
        self._full_routes: dict[str, Route] = {}
        self._executors: Sequence[Executor] = ()
        self._refreshed_at = float("-inf")
        self._unknown: dict[str, float] = {}
        self._strikes: dict[bytes, int] = {}
        self._stop_by: float | None = None
        self._not_through: set[bytes] = set()
        self._untold: list[Route] | None = None

    # -- called by other threads ---------------------------------------------------------------

    def post(self, envelope: Envelope) -> None:
        self._notes.append(envelope)
        self._bell.ring()

    def call(self, what: Callable[..., object], *args: object) -> None:
        """Have ``what(*args)`` done on the connector's thread."""
        self._notes.append((lambda: what(*args)) if args else what)
        self._bell.ring()

    # -- the thread ----------------------------------------------------------------------------

    def run(self, place: Place | None, started: Future[None]) -> None:
        try:
            self._open(place)
        except Exception as error:
            self._close(place)
            started.set_exception(error)
            return
        if not self._takes_work:
            # Connected before the first request, a client need not wait with it.
            self.call(self._refresh_directory)
        started.set_result(None)
        try:
            while not self._finished():
                self._turn()
        finally:
            self._close(place)

    def _open(self, place: Place | None) -> None:
        self._poller.register(self._bell, zmq.POLLIN)
        if place is None:
            return
        router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._router = router
        tune(router, place.endpoint)
        router.set(zmq.ROUTER_MANDATORY, 1)
        # An asker that reconnects before its old connection is known to be dead must win.
        router.set(zmq.ROUTER_HANDOVER, 1)
        try:
            router.bind(place.endpoint)
            place.secure()
        except (zmq.ZMQError, OSError) as error:
            raise ConnectorError(f"{place.endpoint} cannot be listened on: {error}") from error
        self.endpoint = str(router.get_string(zmq.LAST_ENDPOINT))
        self._poller.register(router, zmq.POLLIN)

    def _turn(self) -> None:
        try:
            for source, events in self._poller.poll(self._wait_ms()):
                self._hear(source, events)
            now = time.monotonic()
            self._retry_full_routes(now)
            self._give_up_waiting(now)
            if self.balance.outstanding and now - self._refreshed_at >= self._refresh_s:
                self._refresh_directory()
        except Exception:
            # Whatever it was, all other worlds still want their messages, and other notes may wait.
            log.exception("the connector stumbled", extra={"action": "connector_stumbled"})
            self._bell.ring()

    def _wait_ms(self) -> int:
        if self._full_routes or self._untold:
            return int(_RETRY_S * 1000)
        if self._stop_by is not None or any(peer.outbox for peer in self._peers.values()):
            return 50
        return int(self._refresh_s * 1000) if self.balance.outstanding else 5_000

    def _hear(self, source: object, events: int) -> None:
        if source is self._router:
            self._hear_askers()
        elif source in self._peer_of_socket:
            self._hear_peer(self._peer_of_socket[source], events)
        else:
            self._bell.quiet()
            for note in self._waiting_notes():
                if isinstance(note, Envelope):
                    self._send(note)
                else:
                    note()

    def _waiting_notes(self) -> Iterator[_Note]:
        for _ in range(len(self._notes)):
            yield self._notes.popleft()

    # -- hearing -------------------------------------------------------------------------------

    def _hear_askers(self) -> None:
        assert self._router is not None
        for _ in range(_PER_TURN):
            try:
                frames = self._router.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            if self._strikes.get(frames[0], 0) < _STRIKES:
                self._hear_asker(frames)

    def _hear_asker(self, frames: list[bytes]) -> None:
        identity = frames[0]
        try:
            world_id = world_of(identity)
            route = self._routes.get(world_id)
            if route is None or route.identity != identity:
                self._learn_route(world_id, identity)
            if len(frames) != 2:
                raise ProtocolError(f"a message of {len(frames) - 1} frames")
            if frames[1]:
                self._deliver(Envelope.from_bytes(frames[1]))
            else:  # the probe of a new connection, or the answer to our farewell
                self._not_through.discard(identity)
        except ProtocolError as error:
            self._refuse(identity, error)

    def _learn_route(self, world_id: str, identity: bytes) -> None:
        assert self._router is not None
        before = self._routes.pop(world_id, None)
        route = Route(self._router, identity, Outbox(self._linger_s) if before is None else before.outbox)
        self._routes[world_id] = route
        if route.outbox:
            self._full_routes[world_id] = route
        if len(self._routes) > _MAX_ROUTES:
            del self._routes[next(iter(self._routes))]

    def _hear_peer(self, peer: Peer, events: int) -> None:
        if events & zmq.POLLOUT:
            self._push_waiting(peer)
        for _ in range(_PER_TURN):
            try:
                frames = peer.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            try:
                if len(frames) != 1:
                    raise ProtocolError(f"a message of {len(frames)} frames")
                if frames[0]:
                    self._deliver(Envelope.from_bytes(frames[0]))
                else:
                    self._bid_farewell(peer)
            except ProtocolError as error:
                self._refuse(peer.world_id.encode(), error)

    def _bid_farewell(self, peer: Peer) -> None:
        """The executor is ending: tell it that all its answers were read."""
        with suppress(zmq.Again):  # gone already
            peer.push(_FAREWELL)

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.receiver_id != self._world_id:
            raise ProtocolError(f"an envelope for world {envelope.receiver_id}, who is not here")
        if not envelope.is_request:
            self.balance.answered(envelope)
        try:
            self._receiver.receive(envelope)
        except Exception:
            log.exception("an envelope could not be delivered", extra={"action": "delivery_failed"})

    def _refuse(self, peer: bytes, error: ProtocolError) -> None:
        self.protocol_errors += 1
        if len(self._strikes) > _MAX_ROUTES:
            self._strikes.clear()
        strikes = self._strikes[peer] = self._strikes.get(peer, 0) + 1
        if strikes in (1, _STRIKES):
            log.warning(
                "refused a message: %s%s",
                error,
                "; this peer is not listened to any more" if strikes == _STRIKES else "",
                extra={"action": "protocol_error"},
            )

    # -- sending -------------------------------------------------------------------------------

    def _send(self, envelope: Envelope) -> None:
        try:
            if envelope.receiver_id == ANY_EXECUTOR:
                self._send_to_any(envelope)
            elif envelope.receiver_id == self._world_id:
                self._deliver(Envelope.from_bytes(envelope.to_bytes()))
            elif envelope.is_request:
                self._send_over(self._peer_named(envelope.receiver_id), envelope, envelope.to_bytes())
            else:
                self._answer(envelope)
        except DynflowError as error:
            self._give_back(envelope, error)

    def _send_to_any(self, envelope: Envelope) -> None:
        message = envelope.message
        executor = self._choose(envelope, message.queue if isinstance(message, Execution) else "default")
        if executor is None:
            raise NoExecutor("no executor is there", getattr(message, "plan_id", None))
        addressed = envelope._replace(receiver_id=executor.world_id)
        data = addressed.to_bytes()
        if envelope.sender_id == self._world_id:  # another world hears the answers of what we hand over
            self.balance.sent(envelope, executor)
        if executor.world_id == self._world_id:
            self._deliver(Envelope.from_bytes(data))
        else:
            self._send_over(self._peers[executor.world_id], envelope, data)

    def _choose(self, envelope: Envelope, queue: str) -> Executor | None:
        """Who gets it: executors we are connected to first, then those we are still connecting to."""
        now = time.monotonic()
        if now - self._refreshed_at >= self._refresh_s:
            self._refresh_directory()
        ours = self._takes_work and envelope.sender_id == self._world_id
        here = [executor for executor in self._executors if self._can_take(executor, ours)]
        connected = [executor for executor in here if self._is_connected(executor)]
        return self.balance.choose(connected or here, queue)

    def _can_take(self, executor: Executor, ours: bool) -> bool:
        """``ours``: whether this world itself may take it; never what it hands over to another."""
        if executor.world_id == self._world_id:
            return ours
        return executor.world_id in self._peers

    def _is_connected(self, executor: Executor) -> bool:
        return executor.world_id == self._world_id or self._peers[executor.world_id].reachable

    def _peer_named(self, world_id: str) -> Peer:
        peer = self._peers.get(world_id)
        if peer is not None:
            return peer
        now = time.monotonic()
        if now >= self._unknown.get(world_id, now):
            self._unknown.pop(world_id, None)
            endpoint = self._endpoint_of(world_id)
            if endpoint is not None:
                peer = self._connect(world_id, endpoint)
            if peer is not None:
                return peer
            if len(self._unknown) > _MAX_ROUTES:
                self._unknown.clear()
            self._unknown[world_id] = now + self._refresh_s
        raise UnknownReceiver(f"world {world_id} cannot be reached: it listens nowhere")

    def _endpoint_of(self, world_id: str) -> str | None:
        try:
            return self._directory.endpoint(world_id)
        except PersistenceError as error:
            raise UnknownReceiver(f"world {world_id} cannot be looked up: {error}") from error

    def _send_over(self, peer: Peer, envelope: Envelope, data: bytes) -> None:
        if not peer.outbox:
            try:
                peer.push(data)
            except zmq.Again:
                self._poller.register(peer.socket, zmq.POLLIN | zmq.POLLOUT)
            else:
                return
        if not peer.outbox.put(Waiting(envelope, data, time.monotonic())):
            raise PeerBusy(f"too much waits for world {peer.world_id}")

    def _push_waiting(self, peer: Peer) -> None:
        if _push_all(peer):
            self._poller.register(peer.socket, zmq.POLLIN)

    def _answer(self, envelope: Envelope) -> None:
        world_id = envelope.receiver_id
        route = self._routes.get(world_id)
        if route is None:
            raise UnknownReceiver(f"world {world_id} is not connected and cannot be answered")
        data = envelope.to_bytes()
        try:
            if not route.outbox:
                route.push(data)
                return
        except zmq.Again:
            self._full_routes[world_id] = route
        except zmq.ZMQError as error:
            self._forget_route(world_id, error)
            raise UnknownReceiver(f"world {world_id} has gone and cannot be answered") from error
        if not route.outbox.put(Waiting(envelope, data, time.monotonic())):
            raise PeerBusy(f"too much waits for world {world_id}")

    def _forget_route(self, world_id: str, error: zmq.ZMQError) -> None:
        if error.errno != errno.EHOSTUNREACH:
            log.warning("an answer could not be sent: %s", error, extra={"action": "answer_failed"})
        self._full_routes.pop(world_id, None)
        self._routes.pop(world_id, None)

    def _retry_full_routes(self, now: float) -> None:
        for world_id, route in list(self._full_routes.items()):
            try:
                if _push_all(route):
                    del self._full_routes[world_id]
            except zmq.ZMQError as error:
                self._forget_route(world_id, error)
                self._give_back_all(route.outbox.everything(), f"world {world_id} has gone")

    def _give_up_waiting(self, now: float) -> None:
        for peer in list(self._peers.values()):
            if peer.outbox:
                self._give_back_all(peer.outbox.overdue(now), f"world {peer.world_id} does not take messages")
        for world_id, route in self._full_routes.items():
            self._give_back_all(route.outbox.overdue(now), f"world {world_id} does not take messages")

    def _give_back_all(self, envelopes: Iterator[Envelope], why: str) -> None:
        for envelope in envelopes:
            if envelope.receiver_id == ANY_EXECUTOR:
                plan_id = getattr(envelope.message, "plan_id", None)
                self._give_back(envelope, NoExecutor(why, plan_id))
            else:
                self._give_back(envelope, UnknownReceiver(why))

    def _give_back(self, envelope: Envelope, error: DynflowError) -> None:
        if envelope.sender_id != self._world_id:
            return  # sent for another world: it looks after its request itself
        if envelope.is_request:
            self.balance.settled(envelope.request_id)
        try:
            self._receiver.undeliverable(envelope, error)
        except Exception:
            log.exception("a returned envelope was not taken", extra={"action": "delivery_failed"})

    # -- who is there --------------------------------------------------------------------------

    def _refresh_directory(self) -> None:
        self._refreshed_at = now = time.monotonic()
        try:
            self._executors = tuple(self._directory.executors())
        except PersistenceError as error:
            log.warning(
                "the directory could not be read, the last one is used: %s",
                error,
                extra={"action": "directory_failed"},
            )
            return
        self._unknown.clear()
        for executor in self._executors:
            if executor.world_id not in self._peers and executor.endpoint is not None:
                self._connect(executor.world_id, executor.endpoint)
        self._leave_unlisted(now)

    def _connect(self, world_id: str, endpoint: str) -> Peer | None:
        if world_id == self._world_id:
            return None
        try:
            check_endpoint(endpoint)
            peer = Peer(self._context, self._world_id, world_id, endpoint)
        except (ConnectorError, zmq.ZMQError) as error:
            log.warning(
                "world %s cannot be connected to: %s", world_id, error, extra={"action": "connect_failed"}
            )
            return None
        self._peers[world_id] = peer
        self._peer_of_socket[peer.socket] = peer
        self._poller.register(peer.socket, zmq.POLLIN)
        return peer

    def _leave_unlisted(self, now: float) -> None:
        """Let go of connections that are down and whose worlds are not listed any more.

        A world that drains is not listed but still answers: while its connection stands, it stays.
        """
        listed = {executor.world_id for executor in self._executors}
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
        self._poller.unregister(peer.socket)
        peer.socket.close(0)
        self._give_back_all(peer.outbox.everything(), f"world {peer.world_id} has gone")

    def refuse_new_work(self) -> None:
        """From now on this world's own requests go to other executors."""
        self._takes_work = False

    # -- the end -------------------------------------------------------------------------------

    def begin_to_stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._linger_s

    def _finished(self) -> bool:
        if self._stop_by is None:
            return False
        if time.monotonic() >= self._stop_by:
            return True
        if self._notes or self._full_routes or any(peer.outbox for peer in self._peers.values()):
            return False
        self._say_farewell()
        return not self._untold and not self._not_through

    def _say_farewell(self) -> None:
        """Wait for every asker to have read its answers: those it has not read when the connection
        ends, its socket throws away (a price of IMMEDIATE)."""
        if self._untold is None:
            self._untold = list(self._routes.values())
        self._untold = [route for route in self._untold if not self._told(route)]

    def _told(self, route: Route) -> bool:
        """Whether this asker was told, or need not be."""
        try:
            route.push(_FAREWELL)
        except zmq.Again:
            return False  # full of answers it has not read: it is told when there is room
        except zmq.ZMQError:
            return True  # gone: we do not wait for whom we cannot tell
        self._not_through.add(route.identity)
        return True

    def _close(self, place: Place | None) -> None:
        left = max(0.0, (self._stop_by or 0.0) - time.monotonic())
        linger_ms = int(left * 1000)
        for peer in self._peers.values():
            peer.socket.close(linger_ms)
            self._give_back_all(peer.outbox.everything(), "the connector has stopped")
        if self._router is not None:
            self._router.close(linger_ms)
        # Returns when all that was sent has left, or the sockets have lingered long enough.
        self._context.term()
        for note in self._waiting_notes():
            if isinstance(note, Envelope):
                self._give_back(note, ConnectorError("the connector has stopped"))
        self._bell.close()
        if place is not None:
            place.release()


def _push_all(way: Peer | Route) -> bool:
    """Send what waits while there is room; True when nothing waits any more."""
    now = time.monotonic()
    while way.outbox:
        try:
            way.push(way.outbox.first())
        except zmq.Again:
            return False
        way.outbox.sent(now)
    return True
