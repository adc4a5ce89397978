"""What a list's address may ask for."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp import PlanState, Result
from dynflow_mp.errors import QueryError
from dynflow_mp.model.plan_orders import ORDERS
from dynflow_mp.reading.plan_query import MOST_PAGES, MOST_PER_PAGE, PlanQuery

PLAN = "0193f0c5-0000-7000-8000-000000000001"

texts = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
times = st.none() | st.datetimes(timezones=st.just(UTC))
queries = st.builds(
    PlanQuery,
    states=st.lists(st.sampled_from(PlanState), unique=True).map(tuple),
    results=st.lists(st.sampled_from(Result), unique=True).map(tuple),
    label=texts,
    action=texts,
    since=times,
    until=times,
    error=texts,
    caller=st.none() | st.uuids().map(str),
    order_by=st.sampled_from(ORDERS),
    desc=st.booleans(),
    page=st.integers(0, MOST_PAGES),
    per_page=st.integers(1, MOST_PER_PAGE),
)


@given(queries)
def test_an_address_says_all_of_a_query(query: PlanQuery) -> None:
    assert PlanQuery.from_params(query.to_params()) == query


def test_a_query_is_read_as_a_form_sends_it() -> None:
    pairs = [
        *(("state", "paused"), ("state", "running"), ("state", "paused"), ("result", "error"), ("label", "")),
        *(("action", "Order"), ("since", "2026-11-26T02:00"), ("until", "2026-11-26T04:00:00 00:00")),
        *(("desc", "false"), ("order_by", "label"), ("page", "2"), ("per_page", "10")),
        ("caller", PLAN.upper()),
    ]

    query = PlanQuery.from_params(pairs)

    assert query == PlanQuery(
        (PlanState.PAUSED, PlanState.RUNNING),
        (Result.ERROR,),
        action="Order",
        since=datetime(2026, 11, 26, 2, tzinfo=UTC),
        until=datetime(2026, 11, 26, 4, tzinfo=UTC),
        caller=PLAN,
        order_by="label",
        desc=False,
        page=2,
        per_page=10,
    )
    assert query.with_page(0).to_params()[:3] == [
        ("state", "paused"),
        ("state", "running"),
        ("result", "error"),
    ]


@pytest.mark.parametrize(
    ("pairs", "field", "reason"),
    [
        ([("colour", "red")], "colour", "'colour' is nothing that plans are listed by"),
        ([("x" * 500, "red")], "x" * 60 + "…", "is nothing"),
        ([("state", "sleeping")], "state", "must be one of pending, scheduled"),
        ([("result", "'; DROP TABLE x")], "result", "must be one of"),
        ([("page", "-1")], "page", "page=-1: must be a whole number from 0"),
        ([("page", "1e3")], "page", "must be a whole number"),
        ([("page", "9" * 59)], "page", "must be a whole number from 0 to 1,000,000"),
        ([("page", "٣")], "page", "must be a whole number"),
        ([("per_page", "501")], "per_page", "from 1 to 500"),
        ([("per_page", "0")], "per_page", "from 1 to 500"),
        ([("since", "yesterday")], "since", "must be a time such as"),
        ([("since", "0001-01-01T00:00:00+14:00")], "since", "must be a time such as"),
        ([("desc", "maybe")], "desc", "must be true or false"),
        ([("order_by", "id; DROP TABLE x")], "order_by", "must be one of started_at"),
        ([("caller", "17")], "caller", "must be the id of a plan"),
        ([("label", "x" * 256)], "label", "256 characters are more than 255"),
        ([("error", "x" * 1_000_000)], "error", "are more than 500"),
        ([("label", "a\0b")], "label", "characters that no text of ours has"),
        ([("label", "\ud800")], "label", "characters that no text of ours has"),
        ([("label", "a"), ("label", "b")], "label", "label is given twice"),
        ([("state", "paused")] * 21, "state", "more than 20 values"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    pairs: list[tuple[str, str]], field: str, reason: str
) -> None:
    with pytest.raises(QueryError) as refused:
        PlanQuery.from_params(pairs)

    assert refused.value.field == field
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 400


@given(
    st.lists(
        st.tuples(st.sampled_from(["state", "since", "page", "caller", "label", "zzz"]), st.text(max_size=40))
    )
)
def test_nothing_but_a_query_or_its_refusal_comes_of_any_address(pairs: list[tuple[str, str]]) -> None:
    with suppress(QueryError):
        query = PlanQuery.from_params(pairs)

        assert PlanQuery.from_params(query.to_params()) == query


@pytest.mark.parametrize(
    "given",
    [
        {"states": ("paused",)},
        {"results": [Result.ERROR]},
        {"since": datetime(2026, 1, 1)},
        {"page": True},
        {"label": 5},
        {"desc": 1},
    ],
)
def test_a_query_made_in_code_is_checked_as_well(given: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        PlanQuery(**given)  # type: ignore[arg-type]


def test_a_time_of_any_zone_is_the_same_time() -> None:
    there = datetime(2026, 11, 26, 4, tzinfo=timezone(timedelta(hours=2)))

    assert PlanQuery(since=there).to_params() == [("since", "2026-11-26T02:00:00Z")]
