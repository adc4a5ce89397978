"""Times, spans, shares: as they are written, and as they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from dynflow_mp.cli.words import AGO, AHEAD, SPAN, amount, bar, moment, share, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0, "0.00 s"),
        (9.994, "9.99 s"),
        (42.4, "42 s"),
        (200.0, "3 min 20 s"),
        (18_120.0, "5 h 2 min"),
        (273_600.0, "3 d 4 h"),
    ],
)
def test_a_span_is_told_in_two_numbers_at_the_most(seconds: float | None, words: str):
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("part", "words"), [(0.0, "0 %"), (0.5, "50 %"), (0.9999, "99 %"), (1.0, "100 %"), (None, "-")]
)
def test_a_hundred_percent_is_only_what_is_done(part: float | None, words: str):
    assert share(part) == words


def test_a_bar_is_as_long_as_it_is_said_to_be():
    assert [bar(part, 4) for part in (-1.0, 0.0, 0.5, 1.0, 7.0)] == ["░░░░", "░░░░", "██░░", "████", "████"]


def test_a_time_is_told_in_utc():
    time = datetime.fromisoformat("2026-11-26T14:30:05+02:00")

    assert (moment(time), moment(None)) == ("2026-11-26 12:30:05", "-")


def test_bytes_have_units():
    assert [amount(number) for number in (0, 1023, 1024, 5 * 1024**3, 3 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
        "3.0 TiB",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("90s", 90.0), ("5m", 300.0), ("2H", 7200.0), ("1w", 604_800.0)],
)
def test_a_span_is_read_with_its_unit(text: str, seconds: float):
    assert SPAN.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "5 years", "1e9", "inf", "nan", "99999999999"])
def test_what_is_no_span_is_refused(text: str):
    with pytest.raises(click.BadParameter):
        SPAN.convert(text, None, None)


def test_a_time_is_iso_or_so_long_ago_or_so_far_ahead():
    now = datetime.now(UTC)

    assert AGO.convert("2026-11-26T14:30", None, None) == datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
    assert abs(AGO.convert("2h", None, None) - (now - timedelta(hours=2))) < timedelta(minutes=1)
    assert abs(AHEAD.convert("2h", None, None) - (now + timedelta(hours=2))) < timedelta(minutes=1)
    with pytest.raises(click.BadParameter, match="neither a time"):
        AGO.convert("yesterday", None, None)
