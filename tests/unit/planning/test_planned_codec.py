"""A plan that was made in a worker is the one that its supervisor stores."""

from __future__ import annotations

from itertools import count

import pytest
from actions_for_tests import ISSUES, DummyWithFinalize, IncomingIssues

from dynflow_mp import Action
from dynflow_mp.errors import DamagedData
from dynflow_mp.model.codec import encode
from dynflow_mp.model.planned_codec import plan_from_bytes, plan_to_bytes
from dynflow_mp.model.plans import HistoryEntry
from dynflow_mp.planning.planner import plan


class Refuses(Action):
    def plan(self):
        raise ValueError("not today")


def made(kind, *args, **given):
    clock = count(1_000_000, 1_000)
    return plan(
        kind,
        args,
        {},
        now=lambda: next(clock),
        new_id=lambda: "0193f0c5-0000-7000-8000-000000000001",
        **given,
    ).plan


@pytest.mark.parametrize(
    "planned",
    [
        made(IncomingIssues, ISSUES),
        made(DummyWithFinalize, caller=("0193f0c5-0000-7000-8000-000000000002", 3)),
        made(Refuses),
        made(DummyWithFinalize)._replace(history=(HistoryEntry(1, "delay", "w"),), deadline_at=7),
    ],
)
def test_a_plan_comes_out_as_it_went_in(planned):
    found = plan_from_bytes(plan_to_bytes(planned))

    assert found == planned
    assert [type(value) for value in found] == [type(value) for value in planned]
    assert [type(step.state) for step in found.steps] == [type(step.state) for step in planned.steps]


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", encode([], "x"), encode([1] * 19, "x"), encode({"id": 1}, "x")]
)
def test_other_bytes_are_damaged_data(data):
    with pytest.raises(DamagedData):
        plan_from_bytes(data)
