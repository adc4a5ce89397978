"""What people did to a plan stands in its history between what its executors did."""

from __future__ import annotations

import pytest
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import Action
from dynflow_mp.errors import DamagedData
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import encode
from dynflow_mp.model.plans import HistoryEntry, history_to_data
from dynflow_mp.reading.execution_plan import ExecutionPlan


class Done(Action):
    def run(self):
        """Nothing to do."""


def a_shelf(*entries: HistoryEntry, audits: tuple[Audit, ...] = ()) -> PlanShelf:
    shelf = shelf_with(Done)
    shelf.change_plan(history=encode(history_to_data(entries), "history"))
    shelf.audits += audits
    return shelf


def an_audit(time: int, deed: str, by: str = "ann") -> Audit:
    return Audit(f"id-{time}", PLAN_ID, time, deed, by, "client")


def lines(shelf: PlanShelf) -> list[tuple[str, str | None]]:
    return [(line.name, line.by) for line in ExecutionPlan.load(PLAN_ID, shelf).execution_history]


def test_deeds_are_told_where_they_belong_in_time() -> None:
    shelf = a_shelf(
        HistoryEntry(1, "start execution", "x"),
        HistoryEntry(3, "pause execution", "x"),
        HistoryEntry(7, "start execution", "x"),
        audits=(an_audit(5, "skip step 3"), an_audit(6, "resume", "bob")),
    )

    assert lines(shelf) == [
        ("start execution", None),
        ("pause execution", None),
        ("skip step 3", "ann"),
        ("resume", "bob"),
        ("start execution", None),
    ]


def test_a_deed_that_the_history_knows_of_is_told_once_with_all_that_is_known() -> None:
    shelf = a_shelf(
        HistoryEntry(3, "edit input of step 2", "client"),
        HistoryEntry(4, "edit input of step 2", "client"),
        audits=(an_audit(3, "edit input of step 2: keys a, b"),),
    )

    assert lines(shelf) == [("edit input of step 2: keys a, b", "ann"), ("edit input of step 2", None)]


def test_a_line_says_by_whom_and_where() -> None:
    shelf = a_shelf(audits=(an_audit(1_000_000, "halt"),))

    (line,) = ExecutionPlan.load(PLAN_ID, shelf).execution_history

    assert str(line) == "1970-01-01 00:00:01 UTC: halt by ann @ client"


def test_without_deeds_lines_stay_in_the_order_in_which_they_were_written() -> None:
    """Hosts' clocks may differ."""
    shelf = a_shelf(HistoryEntry(9, "start execution", "x"), HistoryEntry(3, "terminate execution", "y"))

    assert lines(shelf) == [("start execution", None), ("terminate execution", None)]


def test_a_line_of_no_calendar_s_time_is_damage() -> None:
    shelf = a_shelf(HistoryEntry(2**63 - 1, "start execution", "x"))

    with pytest.raises(DamagedData, match="in no calendar"):
        lines(shelf)
