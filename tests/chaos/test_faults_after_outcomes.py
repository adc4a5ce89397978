"""M9–M15: from the worker's answer to the plan's end; each moment dies, stands still, hangs, fails."""

import pytest

from chaos.faults import FIRST, SECOND, TABLE, try_fault
from chaos.matrix import cells, idempotent_cells
from chaos.test_faults_before_outcomes import PLACES as EARLIER
from dynflow_mp.failpoints import MOMENTS

PLACES = (
    "outcomes_heard",
    "commit_unheard",
    "outcomes_stored",
    "turn_over",
    "in_finalize",
    "before_release",
    "before_terminal_commit",
)


@pytest.mark.parametrize(("place", "action", "kind"), cells(PLACES))
def test_fault(arena_on, place, action, kind):
    try_fault(arena_on(kind), place, action)


@pytest.mark.parametrize(("place", "action", "kind"), idempotent_cells())
def test_fault_under_an_idempotent_step(arena_on, place, action, kind):
    """What would be an error is run again by itself."""
    try_fault(arena_on(kind), place, action, idempotent=True)


def test_every_moment_has_its_row_and_its_tests():
    assert (*EARLIER, *PLACES) == tuple(MOMENTS) == tuple(TABLE)
    assert all(set(row) == {"kill9", "stop", "raise", "hang"} for _, row in TABLE.values())
    assert sum(row["kill9"] in (FIRST, SECOND) for _, row in TABLE.values()) == 7
