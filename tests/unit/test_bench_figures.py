"""What the benchmarks make of their measurements, and what they choose to run."""

from __future__ import annotations

import json

import pytest

from bench.choice import Choice, chosen
from bench.costs import together
from bench.counting import difference
from bench.databases import MYSQL, POSTGRESQL, url_of
from bench.report import result_json
from bench.rivals import TOOLS, tools
from bench.runner import Run, summary
from bench.spread import percentile, spread
from bench.workloads import WORKLOADS
from bench.workloads.workload import Workload

EVERYTHING = ("fan_out", "chain", "latency")


def a_workload(**settings: bool) -> Workload:
    return Workload("made_up", "steps/s", 100, 1, None, **settings)


def a_run(value: float, ceiling: float | None = None, **rivals: float) -> Run:
    return Run(value, ceiling, rivals, {"supervisor": 50.0}, {"wall_s": value})


def test_a_percentile_is_one_of_the_values_measured() -> None:
    values = [float(number) for number in range(1, 201)]

    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7.0


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert spread([3, 1, 2]) == (2, 1, 3)


def test_counts_are_told_from_those_that_were_there_before() -> None:
    assert difference({"rows": 3, "commits": 1}, {"rows": 10, "commits": 4}) == {"rows": 7, "commits": 3}


def test_what_a_plan_costs_is_the_sum_over_all_processes() -> None:
    asked = {"client": {"rows": 3, "commits": 1}, "supervisor": {"rows": 5, "commits": 2}}

    assert together(asked) == {"rows": 8, "commits": 3}


def test_a_ratio_is_the_median_of_the_runs_own_ratios() -> None:
    runs = [a_run(10, 20), a_run(30, 30), a_run(90, 100)]

    result = summary(a_workload(), 100, "sqlite", runs)

    assert result.ratio == pytest.approx(0.9)
    assert (result.value.median, result.ceiling) == (30, 30)


def test_a_rival_is_compared_run_by_run_too() -> None:
    runs = [a_run(10, dbos=2), a_run(30, dbos=3), a_run(20, dbos=1)]

    result = summary(a_workload(), 100, "sqlite", runs)

    assert result.detail["over_dbos"] == 10
    assert result.rivals == {"dbos": 2}


def test_without_a_ceiling_only_a_value_that_is_a_ratio_has_one() -> None:
    runs = [a_run(1.2)]

    assert summary(a_workload(), 100, "sqlite", runs).ratio is None
    assert summary(a_workload(is_ratio=True), 100, "sqlite", runs).ratio == 1.2


def test_a_result_is_one_line_of_json_of_the_agreed_shape() -> None:
    line = result_json(summary(a_workload(), 100, "sqlite", [a_run(10, 20, dbos=5)]))

    agreed = ["workload", "database", "n", "value", "unit", "ceiling", "ratio", "rivals", "spread", "rss_mb"]
    assert "\n" not in line
    assert list(json.loads(line)) == [*agreed, "detail"]
    assert json.loads(line)["rivals"] == {"dbos": 5}
    assert json.loads(line)["spread"] == [10, 10]


def test_what_is_named_runs_and_on_sqlite_unless_a_database_is_named_too() -> None:
    assert chosen(["chain"], [], EVERYTHING, False, nobody_asks) == [Choice("chain", "sqlite")]
    assert chosen(["chain"], ["mysql", "sqlite"], EVERYTHING, False, nobody_asks) == [
        Choice("chain", "mysql"),
        Choice("chain", "sqlite"),
    ]


def test_without_a_name_everything_runs_on_sqlite_and_a_part_on_postgresql() -> None:
    choices = chosen([], [], EVERYTHING, False, lambda kind: False)

    assert [choice.workload for choice in choices if choice.database == "sqlite"] == list(EVERYTHING)
    assert choices[len(EVERYTHING) :] == [Choice("fan_out", POSTGRESQL), Choice("chain", POSTGRESQL)]


def test_a_server_that_does_not_answer_is_left_out_unless_it_is_named() -> None:
    assert {choice.database for choice in chosen([], [], EVERYTHING, False, lambda kind: True)} == {"sqlite"}
    assert chosen(["chain"], [POSTGRESQL], EVERYTHING, False, nobody_asks) == [Choice("chain", POSTGRESQL)]


def test_counting_without_a_name_is_done_on_every_kind_of_database_that_answers() -> None:
    choices = chosen([], [], EVERYTHING, True, lambda kind: kind == MYSQL)

    assert {choice.database for choice in choices} == {"sqlite", POSTGRESQL}
    assert {choice.workload for choice in choices} == {"fan_out", "chain", "many_plans"}


def test_a_server_named_by_its_kind_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_POSTGRESQL", "postgresql+psycopg://me@elsewhere/mine")

    assert url_of(POSTGRESQL) == "postgresql+psycopg://me@elsewhere/mine"
    assert url_of("sqlite:///here.db") == "sqlite:///here.db"


def test_every_rival_is_offered_by_the_workloads_it_can_run() -> None:
    for name, rival in TOOLS.items():
        for workload in rival.workloads:
            assert name in WORKLOADS[workload].rivals
            assert name in tools(workload)


def test_a_rivals_versions_are_pinned() -> None:
    for rival in TOOLS.values():
        assert all("==" in requirement for requirement in rival.requirements)


def nobody_asks(kind: str) -> bool:
    raise AssertionError(f"{kind} was not named, and nobody asked for it")
