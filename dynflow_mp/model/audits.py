"""Who has done something to a plan or a world by hand, as it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.errors import BadArgument

MOST_DEED = 255
"""Characters of a deed; what is longer is cut."""
MOST_NAME = 100


class Audit(NamedTuple):
    """One deed of somebody's; ``time`` in microseconds UTC, ``world_id`` the client it was done through.

    Without a ``plan_id`` it concerns no plan. Ids sort by time.
    """

    id: str
    plan_id: str | None
    time: int
    deed: str
    by: str
    world_id: str

    @property
    def as_asked(self) -> Audit:
        """The same where another world is asked to do it, and may not."""
        return self.called(f"asked to {self.deed}")

    def called(self, deed: str) -> Audit:
        """The same under another name."""
        return self._replace(deed=cut(deed))


def cut(deed: str) -> str:
    """As much of it as is kept."""
    return deed if len(deed) <= MOST_DEED else f"{deed[: MOST_DEED - 1]}…"


def author(given: object) -> str | None:
    """Who does something, as a caller names him: None for nobody. Raises :class:`BadArgument` for what is no name."""
    if given is None:
        return None
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise BadArgument(f"by={given!r}: must be the name of who does this, in printable characters")
    if len(given) > MOST_NAME:
        raise BadArgument(f"by={given[:20]!r}…: must have {MOST_NAME} characters at most")
    return given


def edit_of(step_id: int, keys: Iterable[object], replace: bool) -> str:
    """What changing a step's input is called; it names the keys and never what they hold."""
    named = ", ".join(key if isinstance(key, str) and key.isprintable() else repr(key) for key in keys)
    what = "all of it becomes keys" if replace else "keys"
    return f"edit input of step {step_id}: {what} {named or '(none)'}"
