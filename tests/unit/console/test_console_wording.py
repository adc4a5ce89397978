"""How times, spans, sizes and data are written."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.console.places import is_within
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.wording import (
    ago_text,
    bytes_text,
    count_text,
    duration_text,
    iso_text,
    percent_text,
    time_text,
)

NOON = datetime(2026, 3, 1, 12, 0, 5, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.000_012, "12 µs"),
        (0.012, "12 ms"),
        (1.25, "1.2 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (184, "3 min 4 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-2, "−2.0 s"),
    ],
)
def test_spans(seconds, text):
    assert duration_text(seconds) == text


def test_times_are_told_in_utc():
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))

    assert time_text(elsewhere) == "2026-03-01 12:00:05 UTC"
    assert iso_text(elsewhere) == "2026-03-01T12:00:05.250+00:00"
    assert (time_text(None), iso_text(None), ago_text(None)) == ("–", "", "–")
    assert ago_text(NOON, NOON + timedelta(minutes=3)) == "3 min ago"
    assert ago_text(NOON, NOON - timedelta(seconds=5)) == "in 5.0 s"


def test_sizes_counts_and_shares():
    assert [bytes_text(size) for size in (None, 0, 1023, 1024, 5_000_000, 2**50)] == [
        *("–", "0 B", "1023 B", "1.0 KiB", "4.8 MiB", "1024 TiB"),
    ]
    assert (count_text(100_000), count_text(None)) == ("100,000", "–")
    assert [percent_text(share) for share in (None, 0, 0.999, 1)] == ["–", "0 %", "99 %", "100 %"]


def test_what_json_does_not_have_is_told_in_words():
    told = plain(
        {
            "bytes": b"\x00\xff",
            "many": b"x" * 1000,
            "time": NOON,
            "day": date(2026, 3, 1),
            "id": UUID(int=1),
            "money": Decimal("1.10"),
            "tuple": (1, None, True),
            "nan": float("nan"),
            7: "seven",
        }
    )

    assert told["bytes"] == "<2 bytes: 00 ff>"
    assert told["many"].startswith("<1,000 bytes: 78")
    assert told["time"] == "2026-03-01T12:00:05.250000+00:00"
    assert (told["day"], told["money"], told["tuple"]) == ("2026-03-01", "1.10", [1, None, True])
    assert (told["nan"], told["7"]) == ("nan", "seven")


@given(st.text(max_size=60), st.sampled_from(["", "/ops", "/a/b"]))
def test_no_path_leads_out_of_the_console(path, prefix):
    if is_within(path, prefix):
        assert path.startswith(f"{prefix}/")
        assert not path.startswith("//")
        assert "\\" not in path
