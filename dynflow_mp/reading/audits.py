"""What people did by hand: how it is noted, and how it reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from dynflow_mp.clock import now_us
from dynflow_mp.errors import QueryError
from dynflow_mp.model.audits import Audit, author, cut
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.reading.step import at

MOST = 1_000


class PastDeed(NamedTuple):
    """One deed: what ``by`` did through the client ``world_id``, to a plan or to none; ids sort by time."""

    time: datetime
    deed: str
    by: str
    world_id: str
    plan_id: str | None
    id: str


def noted(by: object, plan_id: str | None, deed: str, world_id: str) -> Audit | None:
    """What is to be written down about a deed; nothing if nobody is named. Raises :class:`BadArgument`."""
    name = author(by)
    if name is None:
        return None
    now = now_us()
    return Audit(new_plan_id(now, os.urandom), plan_id, now, cut(deed), name, world_id)


def past_deeds(audits: Sequence[Audit]) -> list[PastDeed]:
    """As people read them; one whose time is no time of any calendar is left out."""
    return [
        PastDeed(time, audit.deed, audit.by, audit.world_id, audit.plan_id, audit.id)
        for audit in audits
        if (time := at(audit.time)) is not None
    ]


def checked_most(most: object) -> int:
    """How many to read at most. Raises :class:`QueryError`."""
    if isinstance(most, int) and not isinstance(most, bool) and 0 < most <= MOST:
        return most
    raise QueryError(f"most={most!r}: must be a whole number from 1 to {MOST:,}")
