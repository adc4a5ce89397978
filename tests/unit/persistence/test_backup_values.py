"""Whatever can be stored can be written as JSON and read back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.signals import Signal
from dynflow_mp.persistence.backup import from_json, to_json

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.sampled_from(list(Signal))
)
keys = st.text() | st.sampled_from(["$bytes", "$dict", "$datetime", "$raw", "$else"])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


@given(values)
def test_what_was_stored_comes_back_from_its_json(value):
    stored = decode(encode(value, "value"))

    back = from_json(json.loads(json.dumps(to_json(stored), allow_nan=False)))

    assert back == stored
    assert type(back) is type(stored)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"n": [1, None]}, '{"n": [1, null]}'),
        (b"\x00\xff", '{"$bytes": "AP8="}'),
        (datetime(2030, 1, 2, tzinfo=UTC), '{"$datetime": "2030-01-02T00:00:00+00:00"}'),
        (date(2030, 1, 2), '{"$date": "2030-01-02"}'),
        (Decimal("1.50"), '{"$decimal": "1.50"}'),
        (UUID(int=1), '{"$uuid": "00000000-0000-0000-0000-000000000001"}'),
        (Signal.POLL, '{"$event": "poll"}'),
        ({"$bytes": "mine"}, '{"$dict": {"$bytes": "mine"}}'),
    ],
)
def test_the_form_is_plain_json_where_it_can_be(value, text):
    assert json.dumps(to_json(value)) == text
