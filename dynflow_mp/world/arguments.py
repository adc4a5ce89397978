"""What callers give a world, looked at before anything is done with it.

A time that is no number, left to the thread that waits for it, would take that thread down, and every
future with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dynflow_mp.errors import BadArgument

_LONGEST_S = 100_000_000
"""Three years. What is infinite is more than the system's clocks take."""


def seconds(name: str, given: object) -> float:
    """A span of time from 0 on. Raises :class:`BadArgument`, as all of these do."""
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given <= _LONGEST_S:
        return float(given)
    raise BadArgument(f"{name}={given!r}: must be a number of seconds from 0 to {_LONGEST_S:,}")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(name: str, given: object) -> int | None:
    """A moment as microseconds UTC, or none."""
    if given is None:
        return None
    if not isinstance(given, datetime):
        raise BadArgument(
            f"{name}={given!r}: must be a datetime, such as datetime.now(UTC) + timedelta(hours=1)"
        )
    if given.tzinfo is None or given.utcoffset() is None:
        raise BadArgument(f"{name}={given!r}: has no time zone, so nobody can know when that is")
    passed = given - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def flag(name: str, given: object) -> bool:
    """Yes or no."""
    if isinstance(given, bool):
        return given
    raise BadArgument(f"{name}={given!r}: must be True or False")


def span(name: str, given: object) -> float:
    """A span of time that is not over at once."""
    if given == 0:
        raise BadArgument(f"{name}={given!r}: must be above 0")
    return seconds(name, given)


def call(args: object, kwargs: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What an action is to be planned with, given as a sequence and a mapping."""
    if not isinstance(args, (tuple, list)):
        raise BadArgument(f"args={args!r}: must be a tuple or a list")
    if kwargs is None:
        return tuple(args), {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise BadArgument(f"kwargs={kwargs!r}: must be a mapping of names to values")
    return tuple(args), dict(kwargs)


def number(name: str, given: object) -> int:
    """The number of a step."""
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**31:
        return given
    raise BadArgument(f"{name}={given!r}: must be a whole number from 1")


def world_id(given: object) -> str:
    """The id of a world."""
    if isinstance(given, str) and given and given.isascii() and given.isprintable():
        return given
    raise BadArgument(f"world_id={given!r}: must be the id of a world, as find_worlds() shows it")
