"""M1–M8: from the client's plan to the worker's answer; each moment dies, stands still, hangs, fails."""

import pytest

from chaos.faults import try_fault
from chaos.matrix import cells

PLACES = (
    "plan_planned",
    "plan_stored",
    "request_sent",
    "plan_claimed",
    "running_stored",
    "jobs_received",
    "in_run",
    "outcomes_encoded",
)


@pytest.mark.parametrize(("place", "action", "kind"), cells(PLACES))
def test_fault(arena_on, place, action, kind):
    try_fault(arena_on(kind), place, action)
