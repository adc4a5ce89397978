"""Ids of plans: UUID version 7, so that they sort by the time they were made."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from dynflow_mp.errors import BadArgument, PlanNotFound

_RANDOM_BITS = 62
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62

_SHOWN = 60

_last = 0


def new_plan_id(now_us: int, random: Callable[[int], bytes]) -> str:
    """A fresh id, larger than every one before in this process, even when the clock stands or goes back.

    ``random`` is asked for a number of bytes, as ``os.urandom`` is.
    """
    global _last
    milliseconds, microseconds = divmod(now_us, 1000)
    chance = int.from_bytes(random(8), "big") >> 2
    ordered = (milliseconds << 74) | (microseconds << 64) | chance
    if ordered <= _last:  # a random stride, not 1: two threads may both have read the same last id
        ordered = _last + 1 + (chance >> 20)
    _last = ordered
    return str(UUID(int=_with_version(ordered)))


def plan_id_of(given: object) -> str:
    """The id of a plan as it is stored, from what a caller has.

    Raises :class:`BadArgument` for what is no id at all, :class:`PlanNotFound` for a text that is no UUID.
    """
    if isinstance(given, UUID):
        return str(given)
    if not isinstance(given, str):
        raise BadArgument(f"a plan id is a text, not {type(given).__name__}; a plan has it as .id")
    try:
        return str(UUID(given))
    except ValueError:
        shown = repr(given if len(given) <= _SHOWN else given[:_SHOWN] + "…")
        raise PlanNotFound(f"no plan {shown} is stored: a plan's id is a UUID") from None


def _with_version(ordered: int) -> int:
    """122 ordered bits around the version and the variant that every UUID carries."""
    time, sub_millisecond = divmod(ordered >> _RANDOM_BITS, 1 << 12)
    return (time << 80) | _VERSION | (sub_millisecond << 64) | _VARIANT | (ordered & ((1 << 62) - 1))
