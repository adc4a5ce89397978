"""Who is there, as the directory said a moment ago: it is asked at most once in ``refresh_s`` seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dynflow_mp.connectors.connector import Directory, Executor
from dynflow_mp.errors import PersistenceError, UnknownReceiver
from dynflow_mp.telemetry import logger

log = logger("connectors.known_worlds")

_MOST_REMEMBERED = 10_000


class KnownWorlds:
    """Owned by the connector's thread, on which the directory is asked. While that fails, what it said last is used."""

    def __init__(self, directory: Directory, refresh_s: float) -> None:
        self._directory, self._refresh_s = directory, refresh_s
        self._executors: Sequence[Executor] = ()
        self._refreshed_at = float("-inf")
        self._here: dict[str, tuple[bool, float]] = {}
        """Whether a world can be reached, and when that was asked."""

    def executors(self) -> Sequence[Executor]:
        """Executors that take work."""
        now = time.monotonic()
        if now - self._refreshed_at >= self._refresh_s:
            self._refreshed_at = now
            try:
                self._executors = tuple(self._directory.executors())
            except PersistenceError as error:
                log.warning(
                    "the directory could not be read, the last one is used: %s",
                    error,
                    extra={"action": "directory_failed"},
                )
        return self._executors

    def reachable(self, world_id: str) -> bool:
        """Whether this world takes envelopes. Raises :class:`UnknownReceiver` when that cannot be found out."""
        now = time.monotonic()
        known = self._here.get(world_id)
        if known is not None and now - known[1] < self._refresh_s:
            return known[0]
        try:
            here = self._directory.endpoint(world_id) is not None
        except PersistenceError as error:
            if known is None:
                raise UnknownReceiver(f"world {world_id} cannot be looked up: {error}") from error
            return known[0]
        if len(self._here) > _MOST_REMEMBERED:
            self._here.clear()
        self._here[world_id] = (here, now)
        return here
