"""What the benchmarks make of their measurements."""

from __future__ import annotations

from bench.counting import difference
from bench.spread import percentile, spread


def test_a_percentile_is_one_of_the_values_measured() -> None:
    values = [float(number) for number in range(1, 201)]

    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7.0


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert spread([3, 1, 2]) == (2, 1, 3)


def test_counts_are_told_from_those_that_were_there_before() -> None:
    assert difference({"rows": 3, "commits": 1}, {"rows": 10, "commits": 4}) == {"rows": 7, "commits": 3}
