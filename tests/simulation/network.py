"""Envelopes between simulated worlds: lost, doubled, late, and cut off altogether; out of order where they take different ways.

send ─▶ the connector's thread: who gets it (real balance, real directory) ─▶ the network ─▶ receive
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from dynflow_mp.connectors.connector import Connector, Executor, Receiver
from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import NoExecutor, PersistenceError, UnknownReceiver
from dynflow_mp.maintenance.directory import WorldDirectory
from dynflow_mp.model.codec import decode
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Event, Execution
from tests.simulation.kernel import Kernel, Machine, Process
from tests.simulation.threads import VirtualQueue, VirtualThread, here, kernel

_REFRESH_S = 2.0


class Network:
    """All there is between worlds."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.stations: dict[str, Station] = {}
        """Who listens, by world id."""
        self.lost = self.doubled = 0.0
        """How likely an envelope is lost, or comes twice."""
        self.late_s = 0.005
        """How late one may come."""
        self.lost_events: list[Any] = []
        """What was in envelopes that were lost on their way."""
        self._cut: set[frozenset[str]] = set()
        self._latest: dict[tuple[int, str], float] = {}
        self.counts = {"sent": 0, "dropped": 0, "duplicated": 0, "cut off": 0}

    def cut(self, one: Machine, other: Machine) -> None:
        """Nothing passes between these machines any more."""
        self._cut.add(frozenset((one.name, other.name)))

    def heal(self, one: Machine, other: Machine) -> None:
        self._cut.discard(frozenset((one.name, other.name)))

    def carry(self, sender: Process, world_id: str, data: bytes) -> None:
        """Take an envelope to whoever listens under this id then."""
        chance = self._kernel.chance
        self.counts["sent"] += 1
        copies = 1
        if self.doubled and chance.random() < self.doubled:
            copies = 2
            self.counts["duplicated"] += 1
        for _ in range(copies):
            if self.lost and chance.random() < self.lost:
                self.counts["dropped"] += 1
                self._lose(data)
                continue
            delay_s = chance.uniform(0.0005, self.late_s if chance.random() < 0.3 else 0.003)
            # Between two that live, a connection keeps the order.
            way = (sender.pid, world_id)
            due = self._latest[way] = max(self._kernel.now + delay_s, self._latest.get(way, 0.0) + 1e-6)
            self._kernel.at(due, lambda: self._arrive(sender.machine, world_id, data))

    def _lose(self, data: bytes) -> None:
        message = Envelope.from_bytes(data).message
        if isinstance(message, Event):
            self.lost_events.append(decode(message.data))

    def _arrive(self, source: Machine, world_id: str, data: bytes) -> None:
        station = self.stations.get(world_id)
        if station is None or not station.process.alive:
            return
        if frozenset((source.name, station.process.machine.name)) in self._cut:
            self.counts["cut off"] += 1
            self._lose(data)
            return
        station.letters.put(data)


class Station:
    """Where a world's letters come in."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.letters = VirtualQueue()


class SimulatedConnector(Connector):
    """One world's connector. Its thread takes what is to be sent and what came, in order."""

    network: Network
    """Of the simulation that goes on."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._directory = WorldDirectory(coordinator)
        self._station = Station(here().process)
        self._delivery: Delivery | None = None
        self._receiver: Receiver | None = None
        self._listed: tuple[Executor, ...] = ()
        self._listed_at: float | None = None
        self._endpoints: dict[str, tuple[float, str | None]] = {}
        self._world_id = coordinator.world_id
        self._waiting: list[Envelope] = []

    @property
    def endpoint(self) -> str | None:
        return f"sim://{self._world_id}"

    def start_listening(self, receiver: Receiver) -> None:
        self._receiver, self._delivery = receiver, Delivery(receiver)
        self.network.stations[receiver.world_id] = self._station
        VirtualThread(target=self._run, name="connector").start()
        for envelope in self._waiting:
            self._station.letters.put(envelope)

    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        """The record says so: nobody chooses it any more."""

    def stop_listening(self, receiver: Receiver) -> None:
        self._station.letters.put(None)
        self.network.stations.pop(receiver.world_id, None)

    def send(self, envelope: Envelope) -> None:
        if self._delivery is None:
            self._waiting.append(envelope)
        else:
            self._station.letters.put(envelope)

    def settled(self, request_id: str) -> None:
        if self._delivery is not None:
            self._delivery.balance.settled(request_id)

    def _run(self) -> None:
        while (letter := self._station.letters.get()) is not None:
            if isinstance(letter, Envelope):
                self._send(letter)
            else:
                self._hear(letter)

    def _hear(self, data: bytes) -> None:
        assert self._delivery is not None
        envelope = Envelope.from_bytes(data)
        if kernel().tracing:
            kernel().say(here().process.name, f"hears {_shown(envelope)}")
        self._delivery.deliver(envelope)

    def _send(self, envelope: Envelope) -> None:
        assert self._delivery is not None
        try:
            receiver = self._receiver_of(envelope)
        except (NoExecutor, UnknownReceiver) as error:
            self._delivery.give_back(envelope, error)
            return
        addressed = envelope._replace(receiver_id=receiver)
        if not envelope.is_request:
            self._delivery.balance.answered(envelope)
        if kernel().tracing:
            kernel().say(here().process.name, f"sends {_shown(addressed)}")
        self.network.carry(here().process, receiver, addressed.to_bytes())

    def _receiver_of(self, envelope: Envelope) -> str:
        assert self._delivery is not None
        if envelope.receiver_id != ANY_EXECUTOR:
            if envelope.is_request and self._endpoint_of(envelope.receiver_id) is None:
                raise UnknownReceiver(f"world {envelope.receiver_id} listens nowhere")
            return envelope.receiver_id
        queue = envelope.message.queue if isinstance(envelope.message, Execution) else "default"
        executor = self._delivery.balance.choose(self._executors(), queue)
        if executor is None:
            raise NoExecutor("no executor is there", getattr(envelope.message, "plan_id", None))
        if envelope.sender_id == self._world_id:
            self._delivery.balance.sent(envelope, executor)
        return executor.world_id

    def _executors(self) -> tuple[Executor, ...]:
        now = here().process.machine.monotonic()
        if self._listed_at is None or now - self._listed_at >= _REFRESH_S:
            self._listed_at = now
            with suppress(PersistenceError):  # the last one is used
                self._listed = tuple(self._directory.executors())
        return self._listed

    def _endpoint_of(self, world_id: str) -> str | None:
        now = here().process.machine.monotonic()
        known = self._endpoints.get(world_id)
        if known is None or now - known[0] >= _REFRESH_S:
            try:
                known = (now, self._directory.endpoint(world_id))
            except PersistenceError as error:
                raise UnknownReceiver(f"world {world_id} cannot be looked up: {error}") from error
            self._endpoints[world_id] = known
        return known[1]


def _shown(envelope: Envelope) -> str:
    message: Any = envelope.message
    plan_id = getattr(message, "plan_id", None)
    about = "" if plan_id is None else f" of {plan_id[-6:]}"
    request = envelope.request_id[-12:]
    return f"{type(message).__name__}{about} ({request}) for {envelope.receiver_id[:6]}"
