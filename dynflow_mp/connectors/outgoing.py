"""What a world sends through the database: addressed, stored in batches, followed until it was taken.

send ─▶ addressed (which executor? is it there? room?) ─▶ batch, one transaction ─▶ Receipts ─┬─ taken
          └────────────── no: back to its sender ◀── withdrawn, its receiver takes nothing ◀──┘
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from dynflow_mp.clock import now_us
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.connectors.known_worlds import KnownWorlds
from dynflow_mp.connectors.receipts import Posted, Receipts
from dynflow_mp.errors import ConnectorError, DynflowError, NoExecutor, PeerBusy, UnknownReceiver
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.persistence.envelopes import EnvelopeStore, Letter

_BATCH = 256
_BATCH_BYTES = 1024 * 1024
_MOST_HELD = 20_000
"""Envelopes kept while the database is away."""
_SHUNNED_S = 10.0
"""Who took nothing until it was given up is asked again after this time, unless it is heard of before."""


class Outgoing:
    """Owned by the connector's thread. Numbers begin where those of an earlier start ended."""

    def __init__(
        self,
        store: EnvelopeStore,
        delivery: Delivery,
        known: KnownWorlds,
        *,
        takes_work: bool,
        patience_s: float,
        last_number: int,
    ) -> None:
        self._store, self._delivery, self._known = store, delivery, known
        self._takes_work = takes_work
        self.receipts = Receipts(patience_s)
        self.last_number = last_number
        self.full = False
        """Whether something was refused since the last review: more may have been taken since."""
        self._held: deque[Envelope] = deque()
        self._unposted: deque[tuple[Letter, Posted]] = deque()
        self._one_by_one = 0
        """How many letters are to be stored each by itself, since together they could not be."""
        self._shunned: dict[str, float] = {}

    # -- addressing --------------------------------------------------------------------------------

    def hold(self, envelope: Envelope) -> None:
        """To be sent as soon as the database is there."""
        if len(self._held) < _MOST_HELD:
            self._held.append(envelope)
        else:
            self._delivery.give_back(envelope, PeerBusy("the database is away, and too much waits for it"))

    def address(self) -> bool:
        """Decide to whom goes what was held; whether there was anything."""
        found = bool(self._held)
        while self._held:
            envelope = self._held.popleft()
            try:
                self._address(envelope)
            except DynflowError as error:
                self._delivery.give_back(envelope, error)
        return found

    def _address(self, envelope: Envelope) -> None:
        if envelope.receiver_id == ANY_EXECUTOR:
            self._to_any(envelope)
        elif envelope.receiver_id == self._delivery.world_id:
            self._delivery.deliver(Envelope.from_bytes(envelope.to_bytes()))
        elif self._known.reachable(envelope.receiver_id):
            self._to(envelope.receiver_id, envelope, envelope.to_bytes())
        else:
            raise UnknownReceiver(f"world {envelope.receiver_id} cannot be reached through this database")

    def _to_any(self, envelope: Envelope) -> None:
        message, ours = envelope.message, envelope.sender_id == self._delivery.world_id
        queue = message.queue if isinstance(message, Execution) else "default"
        executor = self._choose(queue, self._takes_work and ours)
        if executor is None:
            raise NoExecutor("no executor is there", getattr(message, "plan_id", None))
        data = envelope._replace(receiver_id=executor.world_id).to_bytes()
        if executor.world_id == self._delivery.world_id:
            self._count(envelope, executor, ours)
            self._delivery.deliver(Envelope.from_bytes(data))
        else:
            self._to(executor.world_id, envelope, data)
            self._count(envelope, executor, ours)

    def _count(self, envelope: Envelope, executor: Executor, ours: bool) -> None:
        if ours:  # another world hears the answers of what we hand over
            self._delivery.balance.sent(envelope, executor)

    def _choose(self, queue: str, self_too: bool) -> Executor | None:
        """Executors that take what they are sent first, then those that have not for some time."""
        own_id, now = self._delivery.world_id, time.monotonic()
        here = [one for one in self._known.executors() if one.world_id != own_id or self_too]
        awake = [one for one in here if not self._is_slow(one.world_id, now)]
        return self._delivery.balance.choose(awake or here, queue)

    def _is_slow(self, world_id: str, now: float) -> bool:
        return self._shunned.get(world_id, now) > now or self.receipts.slow(world_id, now)

    def _to(self, world_id: str, envelope: Envelope, data: bytes) -> None:
        if not self.receipts.reserve(world_id, len(data)):
            self.full = True
            raise PeerBusy(f"too much waits for world {world_id}")
        self.last_number = max(self.last_number + 1, now_us())
        letter = Letter(world_id, self.last_number, self._delivery.world_id, data)
        self._unposted.append((letter, Posted(envelope, world_id, self.last_number, len(data))))

    def refuse_new_work(self) -> None:
        """Choose this world no more for what any executor can do."""
        self._takes_work = False

    def heard_of(self, world_id: str) -> None:
        """This world is awake."""
        self._shunned.pop(world_id, None)

    # -- storing -----------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether there is something to send."""
        return bool(self._held or self._unposted)

    def next_batch(self) -> list[Letter]:
        """What is to be stored next, in order, all of it in one transaction."""
        batch: list[Letter] = []
        size = 0
        for letter, posted in self._unposted:
            size += posted.size
            if batch and (self._one_by_one or len(batch) == _BATCH or size > _BATCH_BYTES):
                break
            batch.append(letter)
        return batch

    def stored(self, batch: list[Letter]) -> None:
        """This batch was."""
        now = time.monotonic()
        for _ in batch:
            self.receipts.posted(self._unposted.popleft()[1], now)
        self._one_by_one = max(0, self._one_by_one - len(batch))

    def cannot_be_stored(self, batch: list[Letter], error: DynflowError) -> None:
        """The database refuses this batch for good: find out which letter it is, and give that one back."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            return
        _, posted = self._unposted.popleft()
        self._one_by_one = max(0, self._one_by_one - 1)
        self.receipts.cancel(posted)
        self._delivery.give_back(posted.envelope, ConnectorError(f"it cannot be stored: {error}"))

    def give_up_unsent(self, error: DynflowError) -> None:
        """Give back all that was not stored."""
        unsent = [posted.envelope for _, posted in self._unposted]
        for _, posted in self._unposted:
            self.receipts.cancel(posted)
        unsent += self._held
        self._unposted.clear()
        self._held.clear()
        for envelope in unsent:
            self._delivery.give_back(envelope, error)

    # -- following ---------------------------------------------------------------------------------

    def review(self) -> None:
        """See what was taken; give back what nobody takes. Raises :class:`PersistenceError`."""
        now = time.monotonic()
        self.full = False
        self.receipts.compare(self._store.not_taken(self._delivery.world_id), now)
        for receiver_id in self.receipts.receivers():
            if not self._known.reachable(receiver_id):
                last = self.receipts.last_number(receiver_id)
                self._withdraw(receiver_id, last, f"world {receiver_id} has gone")
        for receiver_id, up_to in self.receipts.overdue(now):
            self._shunned[receiver_id] = now + _SHUNNED_S
            self._withdraw(receiver_id, up_to, f"world {receiver_id} does not take messages")
        self._shunned = {world_id: until for world_id, until in self._shunned.items() if until > now}

    def _withdraw(self, receiver_id: str, up_to: int, why: str) -> None:
        self._store.withdraw(self._delivery.world_id, receiver_id, up_to)
        self._give_back(self.receipts.give_up(receiver_id, up_to), why)

    def _give_back(self, envelopes: Iterable[Envelope], why: str) -> None:
        self._delivery.give_back_all(envelopes, why)
