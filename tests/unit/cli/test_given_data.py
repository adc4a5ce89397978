"""Data on a command line: JSON and nothing else, said without showing it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from dynflow_mp.cli.given import mapping_of, pairs_of, value_of


def test_json_becomes_the_value_it_stands_for():
    assert value_of('{"a": [1, 2.5, null, true, "x"]}', "it") == {"a": [1, 2.5, None, True, "x"]}


def test_what_json_does_not_have_is_tagged_as_in_backups():
    assert value_of('{"$datetime": "2026-11-26T14:30:00+00:00"}', "it") == datetime(
        2026, 11, 26, 14, 30, tzinfo=UTC
    )
    assert value_of('{"$dict": {"$datetime": 1}}', "it") == {"$datetime": 1}


def test_data_may_come_from_a_file(tmp_path: Path):
    (tmp_path / "input.json").write_text('\ufeff{"path": "/srv"}', encoding="utf-8")

    assert mapping_of(f"@{tmp_path}/input.json", "--input") == {"path": "/srv"}


def test_pairs_are_values_by_name():
    assert pairs_of(['a="x=y"', "b=2"], "--set") == {"a": "x=y", "b": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "a text needs its quotes"),
        ("{", "is not JSON"),
        ("NaN", "no number of JSON's"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ("@/nowhere/at/all", "cannot be read"),
        ('{"$datetime": "soon"}', "is not of its kind"),
        ('{"$bytes": "é"}', "is not of its kind"),
    ],
)
def test_what_cannot_be_read_is_named_and_not_shown(text: str, words: str):
    with pytest.raises(click.UsageError) as refused:
        value_of(text, "--arg 1")

    assert refused.value.message.startswith("--arg 1: ")
    assert words in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("given", [["novalue"], ["=1"], ["a=1", "a=2"]])
def test_pairs_that_are_none_are_refused(given: list[str]):
    with pytest.raises(click.UsageError):
        pairs_of(given, "--set")


def test_names_need_an_object():
    with pytest.raises(click.UsageError, match="must be a JSON object"):
        mapping_of("[1]", "--input")
