"""What is shown of an input stands for what is stored, wherever it was not changed."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.console.views.input_editing import BadEdit, Edit, editable_text, edited
from dynflow_mp.redaction import redacted

STORED = {
    "host": "a.example",
    "password": "hunter2",
    "url": "https://me:hunter2@example.com/",
    "when": datetime(2026, 3, 1, tzinfo=UTC),
    "key": b"\x00\xff",
    "nested": {"token": "t0p", "port": 80, "list": [{"secret": "s", "n": 1}, 2.0]},
}
SHOWN = redacted(STORED)


def edit(change):
    """What comes of a change to the text's data."""
    data = json.loads(editable_text(SHOWN))
    change(data)
    return edited(STORED, SHOWN, json.dumps(data))


def test_a_text_that_was_not_changed_changes_nothing():
    assert edited(STORED, SHOWN, editable_text(SHOWN)) == Edit({}, ())


def test_nothing_concealed_is_in_the_text():
    text = editable_text(SHOWN)

    assert "hunter2" not in text
    assert "t0p" not in text


def test_one_key_is_changed_alone():
    assert edit(lambda data: data.update(host="b.example")) == Edit({"host": "b.example"}, ())


def test_beside_what_is_changed_what_is_concealed_stays():
    found = edit(lambda data: data["nested"].update(port=81))

    assert found.changes == {"nested": {**STORED["nested"], "port": 81}}


def test_a_secret_is_replaced_by_writing_another():
    assert edit(lambda data: data.update(password="new")) == Edit({"password": "new"}, ())


def test_what_json_does_not_know_stays_inside_what_is_changed():
    stored = {"box": {"when": STORED["when"], "n": 1}}
    shown = redacted(stored)
    text = editable_text(shown).replace('"n": 1', '"n": 2')

    assert edited(stored, shown, text).changes == {"box": {"when": STORED["when"], "n": 2}}


def test_a_key_that_went_is_told():
    found = edit(lambda data: data.pop("host"))

    assert found == Edit({}, ("host",))
    assert not found.empty


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_another_type_is_another_value(before, after):
    assert edited({"n": before}, {"n": before}, json.dumps({"n": after})).changes == {"n": after}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no JSON"),
        ("3", "JSON object"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": Infinity}', "Infinity"),
        ('{"host": "***"}', r"host: \*\*\* stands"),
        ('{"nested": {"list": [{"secret": "***"}, 2.0, "***"]}}', r"nested\.list\[2\]"),
        ('{"new": {"x": ["***"]}}', r"new\.x\[0\]"),
        ("[" * 100_000, "deeply|no JSON"),
        ('{"a": ' + "9" * 5_000 + "}", "cannot be read"),
    ],
)
def test_what_cannot_be_an_input_is_refused_with_its_place(text, told):
    with pytest.raises(BadEdit, match=told):
        edited(STORED, SHOWN, text)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "password", "b"]), plain))
def test_whatever_is_stored_its_own_text_changes_nothing(stored):
    shown = redacted(stored)

    assert edited(stored, shown, editable_text(shown)).empty
