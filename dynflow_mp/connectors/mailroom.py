"""The thread of a database connector: when to write, when to look, and what when the database is away.

post, call ──▶ notes, bell ──▶ run ─┬─ Outgoing: address, store, follow
              PostgreSQL tells ──┤  ├─ Inbox: look, hand over, acknowledge
              time to look ──────┘  └─ Delivery: to our own world, and back to it

One turn stores all that there is to send, and all acknowledgements, in one transaction; no transaction is open
while the thread waits.
"""

from __future__ import annotations

import logging
import select
import time
from concurrent.futures import Future
from random import random

from dynflow_mp.connectors.connector import Directory, Receiver
from dynflow_mp.connectors.inbox import Inbox
from dynflow_mp.connectors.known_worlds import KnownWorlds
from dynflow_mp.connectors.listener import Listener
from dynflow_mp.connectors.outgoing import Outgoing
from dynflow_mp.connectors.post_office import Office
from dynflow_mp.connectors.rhythm import QUICK_S, Rhythm
from dynflow_mp.errors import ConnectorError, PeerBusy, PersistenceError
from dynflow_mp.model.messages import Envelope
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.envelopes import EnvelopeStore
from dynflow_mp.telemetry import logger

log = logger("connectors.mailroom")

_ANNOUNCED_S = 5.0
"""How often to look where the database tells by itself: a connection that tells nothing any more may seem to stand."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_OUTAGE_S = 60.0
"""How long what is to be sent waits for a database that is away."""
_STOPPING_S = 0.05


class Timings:
    """How patient a mailroom is, in seconds."""

    __slots__ = ("linger_s", "patience_s", "poll_s", "refresh_s")

    def __init__(self, poll_s: float, refresh_s: float, linger_s: float, patience_s: float) -> None:
        self.poll_s, self.refresh_s, self.linger_s, self.patience_s = poll_s, refresh_s, linger_s, patience_s


class Mailroom(Office):
    """The office that keeps its letters in the database."""

    def __init__(
        self,
        receiver: Receiver,
        database: Database,
        directory: Directory,
        timings: Timings,
        last_number: int,
    ) -> None:
        super().__init__(receiver, timings.linger_s)
        self._timings = timings
        self._store = EnvelopeStore(database)
        self._inbox = Inbox(self._store, self.delivery, lambda world_id: self.outgoing.heard_of(world_id))
        self.outgoing = Outgoing(
            self._store,
            self.delivery,
            KnownWorlds(directory, timings.refresh_s),
            takes_work=receiver.takes_work,
            patience_s=timings.patience_s,
            last_number=last_number,
        )
        now = time.monotonic()
        self._rhythm = Rhythm(timings.poll_s, now)
        self._listener = Listener(database, receiver.world_id)
        self._look_at = self._review_at = now
        self._away_since: float | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._retry_at = now
        self._stop_by: float | None = None

    # -- the thread --------------------------------------------------------------------------------

    def run(self, started: Future[None]) -> None:
        """Serve until told to stop."""
        started.set_result(None)
        try:
            while not self._finished():
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        try:
            self._wait()
            self._take_notes()
            if time.monotonic() >= self._retry_at:
                self._serve()
        except PersistenceError as error:
            self._database_failed(error)
        except Exception:
            # Whatever it was, all other worlds still want their messages, and other notes may wait.
            log.exception("the connector stumbled", extra={"action": "connector_stumbled"})
            self._pause()

    def _serve(self) -> None:
        """All that needs the database."""
        if self._listener.keep():
            self._look_at = time.monotonic()
        if self.outgoing.address():
            self._stirred()
        looking = self._stop_by is None and time.monotonic() >= self._look_at
        self._write(acknowledge=looking or self._stop_by is not None)
        if looking:
            self._look()
        if self.outgoing.receipts and (time.monotonic() >= self._review_at or self.outgoing.full):
            self._review_at = time.monotonic() + self._timings.refresh_s
            self.outgoing.review()
        self._database_answered()

    # -- waiting -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        poll, listened = select.poll(), self._listener.fd
        poll.register(self._bell.fd, select.POLLIN)
        if listened is not None:
            poll.register(listened, select.POLLIN)
        else:
            self._look_at = min(self._look_at, time.monotonic() + self._timings.poll_s)
        ready = {fd for fd, _ in poll.poll(self._wait_ms())}
        if self._bell.fd in ready:
            self._bell.silence()
        if listened in ready and self._listener.hear():
            self._look_at = time.monotonic()

    def _wait_ms(self) -> float:
        now = time.monotonic()
        if now < self._retry_at:
            until = self._retry_at
        elif self._notes or self.outgoing.waits:
            return 0
        else:
            until = min(self._look_at, self._inbox.due_at, self._listener.retry_at)
            if self.outgoing.receipts:
                until = min(until, self._review_at)
        if self._stop_by is not None:
            until = min(until, now + _STOPPING_S)
        # Rounded up: a wait that ends just before its time would be one more turn for nothing.
        return max(0.0, 1000 * (until - now) + 0.5)

    def _take_notes(self) -> None:
        for note in self._waiting_notes():
            if isinstance(note, Envelope):
                self.outgoing.hold(note)
            else:
                note()

    def _stirred(self) -> None:
        now = time.monotonic()
        self._rhythm.stirred(now)
        if not self._listener.tells:
            self._look_at = min(self._look_at, now + QUICK_S)

    # -- the database ------------------------------------------------------------------------------

    def _write(self, acknowledge: bool) -> None:
        """Store what is to be sent and what was taken, in as few transactions as can be."""
        while True:
            batch, taken = self.outgoing.next_batch(), self._inbox.unacknowledged()
            due = acknowledge or time.monotonic() >= self._inbox.due_at
            if not batch and not (taken and due):
                return
            try:
                self._store.write(self.delivery.world_id, batch, taken)
            except PersistenceError as error:
                if error.kind != "other" or not batch:
                    raise
                self.outgoing.cannot_be_stored(batch, error)
            else:
                self._inbox.acknowledged()
                self.outgoing.stored(batch)
                if batch and not self._review_at > time.monotonic():
                    self._review_at = time.monotonic() + self._timings.refresh_s

    def _look(self) -> None:
        new, more = self._inbox.look()
        now = time.monotonic()
        if new:
            self._listener.found_unannounced(now)
            self._rhythm.stirred(now)
        if more:
            self._look_at = now
        elif self._listener.tells:
            self._look_at = now + _ANNOUNCED_S
        else:
            self._look_at = now + self._rhythm.interval_s(now)

    def _database_answered(self) -> None:
        self._pause_s = _FIRST_PAUSE_S
        if self._away_since is not None:
            self._away_since = None
            self.outgoing.receipts.begin_anew(time.monotonic())
            log.debug("the database is there again", extra={"action": "database_back"})

    def _database_failed(self, error: PersistenceError) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            # Two that got into each other's way are no outage.
            level = logging.DEBUG if error.kind == "locked" else logging.WARNING
            log.log(level, "messages wait for the database: %s", error, extra={"action": "database_away"})
        elif now - self._away_since > _OUTAGE_S:
            self.outgoing.give_up_unsent(PeerBusy(f"the database has been away for too long: {error}"))
        self._pause()

    def _pause(self) -> None:
        self._retry_at = time.monotonic() + self._pause_s * (0.5 + random())
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        self._look_at = min(self._look_at, self._retry_at)

    def abandon(self) -> None:
        self._bell.close()

    def refuse_new_work(self) -> None:
        self.outgoing.refuse_new_work()

    # -- the end -----------------------------------------------------------------------------------

    def begin_to_stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._timings.linger_s

    def _finished(self) -> bool:
        if self._stop_by is None:
            return False
        if time.monotonic() >= self._stop_by:
            return True
        return not (self._notes or self.outgoing.waits or self._inbox.unacknowledged())

    def _close(self) -> None:
        self._take_notes()
        self.outgoing.give_up_unsent(ConnectorError("the connector has stopped"))
        self._listener.close()
        self._bell.close()
