"""What an executor tells about its workers survives the way, and a damaged report is an error of its own."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.throughput import AMOUNTS, SECONDS, PlansDone, Spread, StepsDone, Throughput
from dynflow_mp.model.workers_report import QueueFacts, WorkerFacts, WorkersReport, WorkerState

NOW = datetime(2026, 11, 26, 3, 0, 0, 250, tzinfo=UTC)
DURATIONS = Spread(SECONDS)
DURATIONS.add(0.3)
DONE = Throughput(
    (StepsDone("shop.Order", "run", {"success": 1, "error": 2}, DURATIONS),),
    (PlansDone("shop.Order", {"success": 1}, 2),),
    {"default": Spread(SECONDS)},
    Spread(SECONDS),
    Spread(AMOUNTS),
    {("in", "Execution"): 4},
    1,
)
REPORT = WorkersReport(
    "x",
    NOW,
    NOW,
    "workers die",
    3,
    (QueueFacts("default", 2, 1, 7, 4, {"signal(9)": 3, "recycled": 1}, {"max_worker_age_s": 1}),),
    (
        WorkerFacts(
            "w1", 17, "default", WorkerState.BUSY, "plan", 3, "shop.Order", None, NOW, 1024, 2.5, 9, 2048
        ),
        WorkerFacts("w2", None, "default", WorkerState.STARTING, *[None] * 5, None, 0.0, 0, None),
    ),
    DONE,
)


def test_a_report_survives_the_way() -> None:
    data = decode(encode(REPORT.to_data(), "report"))

    assert WorkersReport.from_data("x", data) == REPORT


def test_what_a_newer_world_says_beside_is_left_out() -> None:
    data = {**REPORT.to_data(), "weather": "fine"}
    data["workers"] = [{**worker, "mood": "good"} for worker in data["workers"]]

    assert WorkersReport.from_data("x", data) == REPORT


@pytest.mark.parametrize(
    "change",
    [
        {"at": None},
        {"at": 10**30},
        {"queues": 3},
        {"queues": [{}]},
        {"workers": [3]},
        {"workers": [{**REPORT.to_data()["workers"][0], "state": "asleep"}]},
        {"workers": [{**REPORT.to_data()["workers"][0], "queue": 3}]},
        {"degraded": 3},
        {"running_plans": "many"},
        {"done": None},
        {"done": {}},
        {"done": {**DONE.to_data(), "commits": [[1.0], [1, 2, 3], 0.0]}},
        {"done": {**DONE.to_data(), "steps": [["shop.Order", "run"]]}},
    ],
)
def test_what_is_no_report_is_a_protocol_error(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="world x sent a report that cannot be read"):
        WorkersReport.from_data("x", {**REPORT.to_data(), **change})


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*REPORT.to_data(), "more"]), _PLAIN))
def test_whatever_a_world_sends_is_a_report_or_an_error_of_one_kind(change: dict[str, Any]) -> None:
    with suppress(ProtocolError):
        WorkersReport.from_data("x", {**REPORT.to_data(), **change})


def test_nothing_at_all_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        WorkersReport.from_data("x", {})
