"""Failures of one cause are told to be alike."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.model.work import ErrorRecord, beginning_of_error
from dynflow_mp.persistence.failed_steps import FailedStep, FailedSteps
from dynflow_mp.reading.failure_groups import grouped
from dynflow_mp.reading.normalised_error import normalised_error, normalised_message


@pytest.mark.parametrize(
    ("message", "alike"),
    [
        ("host db7.example refused '10.0.0.7' after 0.3 s", "host db<n>.example refused <text> after <n> s"),
        ("plan 0193f0c5-0000-7000-8000-000000000001 is gone", "plan <uuid> is gone"),
        (
            "at 2026-11-26T02:49:17.25Z and 2026-11-26 02:49:17+01:00, 12:30:00",
            "at <time> and <time>, <time>",
        ),
        ("object at 0x7f00ab12, commit 3f2a9cde", "object at <hex>, commit <hex>"),
        ("can't read /srv/data/part-7.csv or ~/x.txt: don't", "can't read <path> or <path>: don't"),
        (r"no C:\Users\me\file.txt here", "no <path> here"),
        ("GET https://host/a?b=1 gave 503", "GET <url> gave <n>"),
        ('key "name" and `code` are missing', "key <text> and <text> are missing"),
        ("-5 is less than +3, 1e-7, 1,000,000 and 5-3", "<n> is less than <n>, <n>, <n> and <n>-<n>"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("either/or stays, a deadbeef without digits too", "either/or stays, a deadbeef without digits too"),
        ("", ""),
    ],
)
def test_what_changes_from_time_to_time_becomes_a_placeholder(message: str, alike: str) -> None:
    assert normalised_message(message) == alike


def test_passwords_in_messages_are_not_shown() -> None:
    assert "hunter2" not in normalised_message("postgresql://me:hunter2@host/db, password=hunter2")


@given(*[st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.uuids() | st.datetimes()] * 2)
def test_messages_that_differ_in_a_value_of_one_kind_are_alike(one: object, other: object) -> None:
    assert len(normalised_error("X", f"order {one} failed").key) == 16
    if type(one) is type(other):
        assert normalised_error("X", f"order {one} failed") == normalised_error("X", f"order {other} failed")


@given(st.text(max_size=1_500))
def test_any_message_has_something_that_others_may_have_too(message: str) -> None:
    alike = normalised_message(message)

    assert "\n" not in alike
    assert not any(digit in alike for digit in "0123456789")


def test_a_long_message_counts_by_its_beginning() -> None:
    assert normalised_error("E", "a" * 1_000_000).message == "a" * 1_000


@given(st.text(max_size=30), st.text(max_size=400), st.integers(0, 3_000))
def test_the_beginning_of_an_error_tells_class_and_message(name: str, message: str, length: int) -> None:
    data = ErrorRecord(name, message, ("trace",)).to_bytes()

    found_name, found = beginning_of_error(data[:length])

    if length > len(name.encode()) + 8:
        assert found_name == name
        assert message.startswith(found)
    if length >= len(data):
        assert found == message


@given(st.binary(max_size=60))
def test_bytes_that_hold_no_error_are_a_cause_of_their_own(data: bytes) -> None:
    name, message = beginning_of_error(data)

    assert isinstance(name, str)
    assert isinstance(message, str)


def failed(plan: int, step: int, message: str, ended_at: int | None, action_class: str = "a.B") -> FailedStep:
    beginning = ErrorRecord("x.Lost", message).to_bytes()
    return FailedStep(f"plan-{plan}", step, step, action_class, ended_at, beginning)


def test_groups_tell_their_plans_and_times() -> None:
    found = [
        failed(3, 5, "gone after 3 s", 3_000_000),
        failed(3, 7, "gone after 4 s", 9_000_000, "a.C"),
        failed(2, 5, "gone after 99 s", None),
        failed(1, 5, "other", 1_000_000),
    ]

    groups = grouped(FailedSteps(found, False), most=10)

    assert [(group.message, group.plan_count, group.step_count) for group in groups] == [
        ("gone after <n> s", 2, 3),
        ("other", 1, 1),
    ]
    first = groups[0]
    assert (first.plan_ids, first.action_classes) == (("plan-3", "plan-2"), ("a.B", "a.C"))
    assert (first.example.plan_id, first.example.step_id) == ("plan-3", 7)
    assert (first.first_at, first.last_at) == (
        datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC),
    )
    assert first.key == normalised_error("x.Lost", "gone after 1 s").key
    assert not groups.cut


def test_it_is_said_when_there_is_more_than_is_told() -> None:
    found = [failed(1, 5, "one", 1), failed(2, 5, "other", 1)]

    assert grouped(FailedSteps(found, False), most=1).cut
    assert grouped(FailedSteps(found, True), most=5).cut
    assert len(grouped(FailedSteps(found, False), most=1)) == 1
