"""Whether the database tells by itself that something has come, and whether it can be believed.

none (not PostgreSQL) ── looks by itself, for ever
listening ─┬─ told ──▶ it tells
           ├─ something was there without a word ──▶ it is deaf: look by itself until it tells again
           └─ broken ──▶ look by itself, connect again after a while
"""

from __future__ import annotations

import time
from random import random

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.envelopes import channel_of
from dynflow_mp.persistence.notifications import Notifications, can_notify
from dynflow_mp.telemetry import logger

log = logger("connectors.listener")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_LATE_S = 0.5
"""Who looks just before a notification arrives finds something unannounced: so long, that means nothing."""


class Listener:
    """Owned by the connector's thread."""

    def __init__(self, database: Database, world_id: str) -> None:
        self._database, self._channel = database, channel_of(world_id)
        self._notifications: Notifications | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._deaf = False
        self._told_at = float("-inf")
        self.retry_at = time.monotonic() if can_notify(database) else float("inf")
        """When to connect (again); infinity while that is not needed."""

    @property
    def fd(self) -> int | None:
        """Readable when there may be news; None while nothing is listened to."""
        if self._notifications is None:
            return None
        try:
            return self._notifications.fd
        except PersistenceError as error:
            self._broken(error)
            return None

    @property
    def tells(self) -> bool:
        """Whether it may be relied on."""
        return self._notifications is not None and not self._deaf

    def keep(self) -> bool:
        """Connect, if it is time to; whether that was done. What is there already is not told of any more."""
        now = time.monotonic()
        if now < self.retry_at:
            return False
        try:
            self._notifications = Notifications(self._database, self._channel)
        except PersistenceError as error:
            self._try_later(error)
        else:
            self.retry_at, self._pause_s = float("inf"), _FIRST_PAUSE_S
            self._deaf, self._told_at = False, now
            return True
        return False

    def hear(self) -> bool:
        """Whether it is time to look: something was told, or nothing will be."""
        if self._notifications is None:
            return True
        try:
            told = self._notifications.hear()
        except PersistenceError as error:
            self._broken(error)
            return True
        if told:
            self._deaf, self._told_at = False, time.monotonic()
        return told

    def found_unannounced(self, now: float) -> None:
        """Something was found at a look. If it was not told either, a connection pooler may stand in between."""
        if now - self._told_at >= _LATE_S:
            self._deaf = True

    def _broken(self, error: PersistenceError) -> None:
        self.close()
        self._try_later(error)

    def _try_later(self, error: PersistenceError) -> None:
        if self._pause_s == _FIRST_PAUSE_S:
            log.warning(
                "the database does not tell of messages, they are looked for: %s",
                error,
                extra={"action": "listening_failed"},
            )
        self.retry_at = time.monotonic() + self._pause_s * (0.5 + random())
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)

    def close(self) -> None:
        """Twice is fine."""
        if self._notifications is not None:
            self._notifications.close()
            self._notifications = None
