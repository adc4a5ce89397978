"""Who may talk to this world over TCP: the worlds in the register, each by its key.

handshake ─▶ admits(key)? ─▶ known ─▶ yes            message ─▶ may_speak(key, world)?
                └─ not known ─▶ register, within bounds ─▶ yes | no | later

The register is read by one thread, the doorkeeper's; others look at the last reading, which is replaced whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from dynflow_mp.errors import ConfigError, PersistenceError
from dynflow_mp.telemetry import logger

log = logger("connectors.admission")

REFRESH_S = 5.0
"""So long after a world was declared dead or removed its connections may still be listened to."""
READINGS_A_SECOND = 2.0
_READINGS_AT_ONCE = 5.0
"""Strangers cannot have the register read more often; worlds that start together need it read for each of them."""


class Verdict(Enum):
    """What becomes of a connection."""

    WELCOME = "welcome"
    UNKNOWN = "unknown key"
    LATER = "register not read"
    """It could not be looked up just now: it may come again."""


class Admission:
    """``keys`` reads the register: the public key of every living world that has one."""

    refresh_s = REFRESH_S

    def __init__(self, keys: Callable[[], Mapping[str, str]], clock: Callable[[], float]) -> None:
        self._keys, self._clock = keys, clock
        self._worlds: Mapping[str, frozenset[str]] = {}
        self._read_at = float("-inf")
        self._readings_left, self._counted_at = _READINGS_AT_ONCE, clock()

    # -- the doorkeeper's thread -------------------------------------------------------------------

    def admits(self, key: str) -> Verdict:
        """Whether the world that has proved to have this key may come in."""
        self.refresh_if_old()
        if key in self._worlds:
            return Verdict.WELCOME
        if not self._may_read() or not self._read():
            return Verdict.LATER
        return Verdict.WELCOME if key in self._worlds else Verdict.UNKNOWN

    def refresh_if_old(self) -> None:
        """Read the register, unless that was done a moment ago."""
        if self._clock() - self._read_at >= self.refresh_s:
            self._read()

    def _may_read(self) -> bool:
        now = self._clock()
        more = (now - self._counted_at) * READINGS_A_SECOND
        self._readings_left, self._counted_at = min(_READINGS_AT_ONCE, self._readings_left + more), now
        if self._readings_left < 1.0:
            return False
        self._readings_left -= 1.0
        return True

    def _read(self) -> bool:
        """Whether that could be done."""
        self._read_at = self._clock()
        try:
            found = self._keys()
        except (PersistenceError, ConfigError) as error:
            # While nobody can read it, nobody can be declared dead in it either.
            log.warning(
                "the register of worlds could not be read, the last reading stands: %s",
                error,
                extra={"action": "register_failed"},
            )
            return False
        worlds: dict[str, set[str]] = {}
        for world_id, key in found.items():
            worlds.setdefault(key, set()).add(world_id)
        self._worlds = {key: frozenset(ids) for key, ids in worlds.items()}
        return True

    # -- any thread --------------------------------------------------------------------------------

    def may_speak(self, key: str | None, world_id: str) -> bool:
        """Whether a connection that proved to have ``key`` is that living world's."""
        return key is not None and world_id in self._worlds.get(key, ())
