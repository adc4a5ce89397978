"""What a plan holds until it has ended: the locks of its singleton classes, and its unique key."""

from __future__ import annotations

from enum import Enum

SINGLETON_LOCK = "SingletonActionLock"
_LOCK_PREFIX = "singleton-action:"
_LONGEST_ID = 100
MAX_KEY = 255
"""Most characters of a unique key."""


class OnConflict(str, Enum):
    """What becomes of a new plan whose unique key another plan holds."""

    RAISE = "raise"
    RETURN = "return"
    """The other plan is returned in its place."""
    REPLACE = "replace"
    """The other plan is stopped, if nobody runs it."""

    __str__ = str.__str__


def singleton_lock_id(action_class: str) -> str:
    """The id of a class's lock; the end of a long name gives way to a digest."""
    whole = _LOCK_PREFIX + action_class
    if len(whole) <= _LONGEST_ID:
        return whole
    from hashlib import sha256  # a cryptographic library of 3 MiB, which every worker would load

    return f"{whole[: _LONGEST_ID - 33]}~{sha256(action_class.encode()).hexdigest()[:32]}"


def owner_of_plan(plan_id: str) -> str:
    """How locks name a plan as their owner."""
    return f"execution-plan:{plan_id}"


def plan_of_owner(owner_id: str) -> str:
    """The plan that a lock names as its owner."""
    return owner_id.partition(":")[2]


def unfit_key(key: object) -> str | None:
    """Why this cannot be a unique key; None for one that can."""
    if not isinstance(key, str):
        return f"a unique key is a text, not a {type(key).__name__}"
    if not key:
        return "a unique key must not be empty"
    if len(key) > MAX_KEY:
        return f"a unique key of {len(key)} characters is longer than {MAX_KEY}"
    if key.endswith(" "):
        return f"the unique key {key!r} ends with a space, which MariaDB and MySQL do not compare"
    return f"the unique key {key!r} has a NUL in it" if "\0" in key else None
