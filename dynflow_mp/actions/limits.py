"""What a class allows one call of its ``run``: time and memory, read from its attributes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dynflow_mp.actions.registry import name_of
from dynflow_mp.errors import PlanningError

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action

_LONGEST_S = 100_000_000
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?)?b?\s*", re.IGNORECASE)


def run_timeout_of(kind: type[Action]) -> float | None:
    """Seconds, None: as long as it takes. Raises :class:`PlanningError` for what cannot be meant."""
    given = kind.run_timeout_s
    if given is None:
        return None
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given <= _LONGEST_S:
        return float(given)
    raise PlanningError(f"{name_of(kind)}.run_timeout_s is {given!r}; it must be a number of seconds above 0")


def memory_limit_of(kind: type[Action]) -> int | None:
    """Bytes, None: as much as there is. Raises :class:`PlanningError` for what cannot be meant."""
    given = kind.memory_limit
    size = _bytes_of(given) if isinstance(given, str) else given
    if size is None and given is None:
        return None
    if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 2**63:
        return size
    raise PlanningError(
        f'{name_of(kind)}.memory_limit is {given!r}; it must be a number of bytes, or a text like "512MiB"'
    )


def _bytes_of(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    return None if found is None else int(float(found[1]) * _UNITS[(found[2] or "").lower()])
