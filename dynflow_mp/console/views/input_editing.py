"""A failed step's input as text to be edited, and what was changed in it.

What the page shows of a value (``***`` for what is concealed, a text in ``<…>`` for what JSON does not know) stands for
that value: wherever the edited text still says the same, the stored value stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from dynflow_mp.console.views.data_text import data_text, plain
from dynflow_mp.errors import DynflowError
from dynflow_mp.redaction import MASK


class BadEdit(DynflowError):
    """The edited text cannot become an input; the sentence says where and why."""


class Edit(NamedTuple):
    """New values of keys, and the keys that went."""

    changes: dict[str, Any]
    removed: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not self.changes and not self.removed


def editable_text(shown: Mapping[str, Any]) -> str:
    """The input as a page offers it."""
    return data_text(shown)


def edited(stored: Mapping[str, Any], shown: Mapping[str, Any], text: str) -> Edit:
    """What ``text`` changes in ``stored``, of which it was given as ``shown``. Raises :class:`BadEdit`."""
    given = parsed(text)
    if not isinstance(given, dict):
        raise BadEdit("an input is a JSON object: { … }")
    merged = {key: _merged(stored, plain(shown), key, value, key) for key, value in given.items()}
    changes = {
        key: value for key, value in merged.items() if key not in stored or not _same(stored[key], value)
    }
    return Edit(changes, tuple(key for key in stored if key not in given))


def parsed(text: str) -> Any:
    """JSON as a form brings it. Raises :class:`BadEdit`."""
    try:
        return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise BadEdit(f"this is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError:
        raise BadEdit("this nests too deeply") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise BadEdit(f"this cannot be read: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for position, (key, _) in enumerate(pairs) if key in dict(pairs[:position]))
        raise BadEdit(f"the key {twice!r} stands twice in one object")
    return found


def _no_number(word: str) -> Any:
    raise BadEdit(f"{word} is no number that can be stored")


def _merged(stored: Any, shown: Any, key: Any, value: Any, path: str) -> Any:
    """``value``, with what stands for stored values replaced by them."""
    if not _has(shown, key) or not _has(stored, key):
        return _checked(value, path)
    before, seen = stored[key], shown[key]
    if _same(seen, value):
        return before
    if isinstance(value, dict) and isinstance(seen, dict) and isinstance(before, dict):
        return {name: _merged(before, seen, name, item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list) and isinstance(seen, list) and isinstance(before, (list, tuple)):
        return [_merged(before, seen, place, item, f"{path}[{place}]") for place, item in enumerate(value)]
    return _checked(value, path)


def _has(container: Any, key: Any) -> bool:
    if isinstance(container, dict):
        return key in container
    return isinstance(container, (list, tuple)) and isinstance(key, int) and key < len(container)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1 is not true, and not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _checked(value: Any, path: str) -> Any:
    """A value that is new. Raises :class:`BadEdit` for a mask: nothing stands behind it here."""
    if isinstance(value, dict):
        return {key: _checked(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, f"{path}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, str) and value == MASK:
        raise BadEdit(
            f"{path}: {MASK} stands for what is concealed, and here nothing is; write the value itself"
        )
    return value
