"""What can be stored, how it comes back, and what is said about the rest."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, IntEnum

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.errors import DamagedData, DataError, PayloadTooLarge
from dynflow_mp.model.codec import decode, encode, encode_input, references_in
from dynflow_mp.model.references import OutputReference, StoredReference
from dynflow_mp.model.signals import Signal

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.dates()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.sampled_from(Signal),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_data_comes_back_as_it_was(value):
    assert decode(encode(value, "input")) == value


def test_a_signal_comes_back_as_itself_and_a_text_like_it_does_not():
    assert decode(encode(Signal.CANCEL, "event")) is Signal.CANCEL
    assert type(decode(encode("cancel", "event"))) is str


def test_a_datetime_keeps_its_offset():
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2)))

    assert decode(encode(at, "x")).utcoffset() == timedelta(hours=2)


def test_a_tuple_becomes_a_list():
    assert decode(encode({"pair": (1, (2, "x"))}, "input")) == {"pair": [1, [2, "x"]]}


class Colour(str, Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def test_subclasses_of_plain_types_are_stored_as_those():
    value = encode({"colour": Colour.RED, "level": Level.HIGH, Colour.RED: 1}, "input")

    assert decode(value) == {"colour": "red", "level": 3, "red": 1}


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"users": [{}, {"at": datetime(2026, 1, 1)}]}, "input['users'][1]['at']", "time zone"),
        ({"x": object()}, "input['x']", "builtins.object"),
        ({"x": {1: "a"}}, "input['x']", "of type int; keys must be text"),
        ({"x": [1.0, float("nan")]}, "input['x'][1]", "not finite"),
        ({"x": float("inf")}, "input['x']", "not finite"),
        ({"x": [1, 2**64]}, "input['x'][1]", "64 bits"),
        ({"x": -(2**63) - 1}, "input['x']", "64 bits"),
        ({"x": {"y": {1, 2}}}, "input['x']['y']", "builtins.set"),
        ({"x": 1j}, "input['x']", "complex"),
        ({"x": [1, {"y": "a\ud800"}]}, "input['x'][1]['y']", "Unicode"),
        ({"x": {"\udfff": 1}}, "input['x']", "Unicode"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_path(value, path, reason):
    """B009: an opaque object in an input is refused, and said where."""
    with pytest.raises(DataError) as raised:
        encode(value, "input")

    assert raised.value.path == path
    assert reason in str(raised.value)


def test_data_nested_too_deeply_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(DataError, match="nested deeper"):
        encode(value, "output")

    while value:
        value = value[0]


def test_a_payload_above_the_limit_is_refused_with_its_size():
    with pytest.raises(PayloadTooLarge) as raised:
        encode({"x": b"." * 2000}, "output", limit=1000)

    assert raised.value.size > 2000
    assert raised.value.limit == 1000


def test_references_are_taken_out_and_listed_with_their_place():
    first = OutputReference("p", 4, 2)
    value = {"a": first["x"]["y"], "b": [1, {"c": OutputReference("p", 7, 3)}], "d": "text"}

    data, found = encode_input(value)

    assert decode(data) == {"a": None, "b": [1, {"c": None}], "d": "text"}
    assert found == (
        StoredReference(("a",), 4, 2, ("x", "y")),
        StoredReference(("b", 1, "c"), 7, 3, ()),
    )


def test_a_reference_anywhere_else_than_in_an_input_is_refused():
    with pytest.raises(DataError, match="only inputs may hold them"):
        encode({"x": OutputReference("p", 4, 2)}, "output")


def test_references_are_found_in_traversal_order_with_repetitions():
    a, b = OutputReference("p", 4, 2), OutputReference("p", 5, 3)

    assert references_in({"x": [b, {"y": a}], "z": b["k"]}) == [b, a, b["k"]]


def test_a_reference_prints_as_people_read_it():
    reference = OutputReference("p", 4, 2)["classification"]["assignee"][0]

    assert str(reference) == "Step(4).output['classification']['assignee'][0]"


@pytest.mark.parametrize("key", [1.5, None, True, b"x"])
def test_a_reference_takes_only_text_keys_and_positions(key):
    with pytest.raises(TypeError):
        OutputReference("p", 4, 2)[key]


def test_a_reference_cannot_be_looped_over_while_planning():
    with pytest.raises(TypeError, match="not known yet"):
        list(OutputReference("p", 4, 2))


def test_data_that_looks_like_a_reference_stays_data():
    """W18: references are told by their type, never by what a map looks like."""
    value = {"class": "OutputReference", "step_id": 4, "action_id": 2, "subkeys": []}

    data, found = encode_input({"x": value})

    assert found == ()
    assert decode(data) == {"x": value}


@given(st.binary(max_size=60))
def test_other_bytes_are_damaged_data_and_nothing_else(data):
    with contextlib.suppress(DamagedData):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb({1: 2}),
        msgpack.packb(msgpack.ExtType(99, b"")),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 2000,
    ],
)
def test_known_bad_bytes_are_damaged_data(data):
    with pytest.raises(DamagedData):
        decode(data)
