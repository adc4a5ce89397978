"""What passes between an action and its sub-plans, as bytes on the wire.

run ── trigger ──▶ NewSubPlan ─┐                              stored, started
run ── orders ───▶ Orders ─────┴─ in the step's outcome ──▶   held-back ones started, running ones cancelled
run ◀── in the job ── Briefing                            ◀── counted when the job is made
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

import msgpack

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.states import PlanState, Result

MAX_TRIGGERED_BYTES = 64 * 1024 * 1024
"""Plans that one call of ``run`` may trigger come to so many bytes at most; more go in batches."""


class NewSubPlan(NamedTuple):
    """A plan that an action triggered in ``run``. ``start``: it is to be run (not failed, not held back)."""

    id: str
    start: bool
    plan: bytes

    def to_bytes(self) -> bytes:
        packed: bytes = msgpack.packb(self)
        return packed

    @classmethod
    def from_bytes(cls, data: bytes) -> NewSubPlan:
        with _damage_named():
            return cls(*_unpacked(data))


class Ending(str, Enum):
    """How sub-plans that have not ended by themselves are to end."""

    HELD_BACK = "held_back"
    """Those that were not started are not started any more; the others go on."""
    CANCEL = "cancel"
    """The others are sent Cancel, too."""
    ABORT = "abort"
    """The others are sent Abort, too."""


class Orders(NamedTuple):
    """What an action wants done with its sub-plans once its outcome is stored.

    ``start``: ids of held-back ones whose turn has come. ``end``: how all that have not ended are to.
    """

    start: tuple[str, ...] = ()
    end: Ending | None = None

    def to_bytes(self) -> bytes:
        packed: bytes = msgpack.packb(self)
        return packed

    @classmethod
    def from_bytes(cls, data: bytes) -> Orders:
        with _damage_named():
            start, end = _unpacked(data)
            return cls(tuple(start), None if end is None else Ending(end))


class SubPlanCount(NamedTuple):
    """How many sub-plans stand alike. ``begun``: an executor has taken them at least once."""

    state: PlanState
    result: Result
    begun: bool
    requested: bool
    number: int


class Briefing(NamedTuple):
    """How an action's sub-plans stand; ``held_back`` are the next ones that are not started yet (not all)."""

    counts: tuple[SubPlanCount, ...] = ()
    held_back: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        packed: bytes = msgpack.packb(self)
        return packed

    @classmethod
    def from_bytes(cls, data: bytes) -> Briefing:
        with _damage_named():
            counts, held_back = _unpacked(data)
            return cls(
                tuple(
                    SubPlanCount(_PLAN_STATES[count[0]], _RESULTS[count[1]], *count[2:]) for count in counts
                ),
                held_back,
            )


_PLAN_STATES = {state.value: state for state in PlanState}
_RESULTS = {result.value: result for result in Result}


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, LookupError) as error:
        raise DamagedData(f"bytes about sub-plans cannot be read: {error!r}") from error


def _unpacked(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, use_list=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DamagedData(f"data about sub-plans cannot be read: {error}") from error
