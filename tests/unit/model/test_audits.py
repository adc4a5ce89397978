"""Who does something, and what it is called: checked before it is written down."""

from __future__ import annotations

import pytest

from dynflow_mp.errors import BadArgument
from dynflow_mp.model.audits import MOST_DEED, Audit, author, edit_of

AUDIT = Audit("id", "plan", 1, "halt", "ann", "world")


@pytest.mark.parametrize("given", ["ann", "Ann Müller", "ann@example.org", "a" * 100, "名前"])
def test_a_name_is_taken_as_it_is(given: str) -> None:
    assert author(given) == given


def test_nobody_need_be_named() -> None:
    assert author(None) is None


@pytest.mark.parametrize(
    "given", ["", "  ", "a\nb", "a\0", "\ud800", "\x1b[31mred", "a" * 101, 7, b"ann", ["ann"]]
)
def test_what_is_no_name_is_refused_and_shown(given: object) -> None:
    with pytest.raises(BadArgument, match="by="):
        author(given)


def test_what_another_world_is_asked_for_is_called_so() -> None:
    assert AUDIT.as_asked.deed == "asked to halt"
    assert AUDIT.as_asked._replace(deed="halt") == AUDIT


def test_an_edit_names_keys_and_no_values() -> None:
    assert edit_of(3, {"a": "secret", "b": 1}, replace=False) == "edit input of step 3: keys a, b"
    assert edit_of(3, {"a": 1}, replace=True) == "edit input of step 3: all of it becomes keys a"
    assert edit_of(3, {}, replace=False) == "edit input of step 3: keys (none)"
    assert edit_of(3, {"a\nb": 1, 7: 2}, replace=False) == "edit input of step 3: keys 'a\\nb', 7"


def test_a_long_deed_is_cut() -> None:
    deed = AUDIT.called("x" * 1_000).deed

    assert len(deed) == MOST_DEED
    assert deed.endswith("…")
