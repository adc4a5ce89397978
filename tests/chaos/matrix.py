"""The cells of the fault matrix as pytest's parameters: all on SQLite in every run, of the servers' a slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import databases
import pytest

from chaos.faults import FIRST, SECOND, TABLE, lost_with, number_of
from dynflow_mp.failpoints import ACTIONS

ON_SERVERS = {
    ("plan_claimed", "kill9"),
    ("plan_claimed", "raise"),
    ("commit_unheard", "kill9"),
    ("commit_unheard", "raise"),
    ("before_terminal_commit", "stop"),
    ("before_terminal_commit", "kill9"),
}
"""Where a transaction of the server's is cut in two; everything else on servers has the mark ``chaos``."""


def cells(places: Sequence[str]) -> list[Any]:
    """Every action at every place on every kind of database."""
    return list(_cells(places))


def _cells(places: Sequence[str]) -> Iterator[Any]:
    for kind in databases.KINDS:
        for place in places:
            for action in ACTIONS:
                rare = kind != databases.SQLITE and (place, action) not in ON_SERVERS
                yield _cell(place, action, kind, rare)


def idempotent_cells() -> list[Any]:
    """Those in which a step of the run phase is lost with its process."""
    return [
        _cell(place, action, kind, True)
        for kind in databases.KINDS
        for place, (_, row) in TABLE.items()
        for action in ACTIONS
        if row[action] in (FIRST, SECOND) and lost_with(place, action)
    ]


def _cell(place: str, action: str, kind: str, rare: bool) -> Any:
    marks = [pytest.mark.chaos] if rare else []
    return pytest.param(place, action, kind, id=f"{number_of(place)}-{action}-{kind}", marks=marks)
