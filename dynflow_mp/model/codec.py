"""The one codec of stored and sent data: msgpack, with extension types for the few Python types plain data needs.

Allowed: None, bool, int within 64 bits, finite float, str, bytes, list (a tuple becomes one), dict
with str keys, aware datetime, date, UUID, Decimal. Anything else is a :class:`DataError` that names
its path. References are taken out on the way (:func:`encode_input`) and stored beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any
from uuid import UUID

import msgpack

from dynflow_mp.errors import DamagedData, DataError, PayloadTooLarge
from dynflow_mp.model.references import Key, OutputReference, StoredReference
from dynflow_mp.model.signals import Signal
from dynflow_mp.redaction import MASK, is_sensitive

MAX_PAYLOAD = 4 * 1024 * 1024
MAX_DEPTH = 200
"""Deeper data is refused: every reader of it, ours and others', recurses."""
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
MAX_ITEMS = 1_000_000
"""Most items of one list or dict: more make every look at them slow, however few bytes they take."""
MAX_KEY = 4_096
"""Longest key: a longer one is data that got into the wrong place. Below so many bytes nothing needs a second look."""

_MOST_SAID = 200

EMPTY = msgpack.packb({})

_DATETIME, _DATE, _UUID, _DECIMAL, _SIGNAL = 1, 2, 3, 4, 5

_PLAIN = frozenset({str, bool, bytes, type(None)})
_FLAT = _PLAIN | {int, float, msgpack.ExtType}
_TEXT_KEYS = {str}
_INT_LOW, _INT_HIGH = -(2**63), 2**64 - 1


def encode(value: Any, name: str, limit: int = MAX_PAYLOAD) -> bytes:
    """``value`` as bytes. ``name`` is what error messages call it (``output``, ``event`` …).

    Raises :class:`DataError` with the path of what cannot be stored, :class:`PayloadTooLarge`
    above ``limit`` bytes.
    """
    return _pack(_Walk(name, None).plain(value, (), 0), name, limit)


def encode_own(value: Any) -> bytes:
    """As :func:`encode`, of what the engine itself has made: plain already, so that nobody looks through it."""
    data: bytes = msgpack.packb(value)
    return data


def encode_input(
    value: dict[str, Any], name: str = "input", limit: int = MAX_PAYLOAD
) -> tuple[bytes, tuple[StoredReference, ...]]:
    """``value`` as bytes, with every output reference in it replaced by None and listed beside it."""
    found: list[StoredReference] = []
    walk = _Walk(name, found)
    return _pack(walk.plain(value, (), 0), name, limit), tuple(found)


def decode(data: bytes) -> Any:
    """The value that :func:`encode` was given. Raises :class:`DamagedData` for other bytes."""
    try:
        # Timestamps, which we never write, become what they mean: nothing but plain types comes out of here.
        return msgpack.unpackb(data, ext_hook=_from_extension, strict_map_key=True, timestamp=3)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException, InvalidOperation) as error:
        # Some of these say all that they could not read.
        raise DamagedData(f"stored data cannot be read: {str(error)[:_MOST_SAID]}") from error


def references_in(value: Any, depth: int = 0) -> list[OutputReference]:
    """Every reference inside an input, with repetitions, in traversal order.

    Raises :class:`DataError` for what nests too deeply to be stored, as data that contains itself does.
    """
    if isinstance(value, OutputReference):
        return [value]
    if depth > MAX_DEPTH:
        raise DataError("input", _TOO_DEEP)
    if isinstance(value, dict):
        return [found for item in value.values() for found in references_in(item, depth + 1)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in references_in(item, depth + 1)]
    return []


def _shown(value: Any, path: tuple[Key, ...]) -> Any:
    """The value, unless a key above it says that it is nobody's business."""
    return MASK if any(isinstance(key, str) and is_sensitive(key) for key in path) else value


def path_text(name: str, path: tuple[Key, ...]) -> str:
    """A place in data as people read it: ``input['hosts'][3]``."""
    return name + "".join(f"[{key!r}]" for key in path)


class _Walk:
    """One pass over a value: checks it, copies only what must change.

    A value that is stored as it stands is returned itself, not copied.
    """

    __slots__ = ("found", "name")

    def __init__(self, name: str, found: list[StoredReference] | None) -> None:
        self.name, self.found = name, found

    def plain(self, value: Any, path: tuple[Key, ...], depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if depth > MAX_DEPTH:
            raise self.error(path, _TOO_DEEP)
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return handler(self, value, path, depth)
        return self.of_subclass(value, path, depth)

    def of_dict(self, value: dict[Any, Any], path: tuple[Key, ...], depth: int) -> Any:
        if value and set(map(type, value)) != _TEXT_KEYS:
            value = {self.key(key, path): item for key, item in value.items()}
        if set(map(type, value.values())) <= _PLAIN:
            return value
        changed = None
        for key, item in value.items():
            plain = self.plain(item, (*path, key), depth + 1)
            if plain is not item:
                changed = changed if changed is not None else dict(value)
                changed[key] = plain
        return value if changed is None else changed

    def of_list(self, value: Any, path: tuple[Key, ...], depth: int) -> Any:
        kinds = set(map(type, value))
        if kinds <= _PLAIN:
            return value
        if kinds == {float} and all(map(isfinite, value)):
            return value
        if kinds == {int} and min(value) >= _INT_LOW and max(value) <= _INT_HIGH:
            return value
        return [self.plain(item, (*path, position), depth + 1) for position, item in enumerate(value)]

    def of_int(self, value: int, path: tuple[Key, ...], depth: int) -> int:
        if _INT_LOW <= value <= _INT_HIGH:
            return value
        shown = _shown(value, path) if abs(value) < 2**80 else "…"
        raise self.error(path, f"the integer {shown} needs more than 64 bits")

    def of_float(self, value: float, path: tuple[Key, ...], depth: int) -> float:
        if isfinite(value):
            return value
        raise self.error(path, f"the float {value} is not finite")

    def of_reference(self, value: OutputReference, path: tuple[Key, ...], depth: int) -> None:
        if self.found is None:
            raise self.error(path, f"{value} is a reference; only inputs may hold them")
        self.found.append(StoredReference(path, value.step_id, value.action_id, value.subkeys))

    def of_datetime(self, value: datetime, path: tuple[Key, ...], depth: int) -> msgpack.ExtType:
        if value.tzinfo is None or value.utcoffset() is None:
            raise self.error(path, f"the datetime {_shown(value, path)} has no time zone")
        return msgpack.ExtType(_DATETIME, value.isoformat().encode())

    def of_date(self, value: date, path: tuple[Key, ...], depth: int) -> msgpack.ExtType:
        return msgpack.ExtType(_DATE, value.isoformat().encode())

    def of_uuid(self, value: UUID, path: tuple[Key, ...], depth: int) -> msgpack.ExtType:
        return msgpack.ExtType(_UUID, value.bytes)

    def of_decimal(self, value: Decimal, path: tuple[Key, ...], depth: int) -> msgpack.ExtType:
        return msgpack.ExtType(_DECIMAL, str(value).encode())

    def of_signal(self, value: Signal, path: tuple[Key, ...], depth: int) -> msgpack.ExtType:
        return msgpack.ExtType(_SIGNAL, value.value.encode())

    def of_subclass(self, value: Any, path: tuple[Key, ...], depth: int) -> Any:
        """A subclass of a plain type is stored as that type: a ``str`` enum as its text."""
        for base, as_plain in _BASES:
            if isinstance(value, base):
                return self.plain(as_plain(value), path, depth)
        kind = type(value)
        raise self.error(path, f"a {kind.__module__}.{kind.__qualname__} cannot be stored")

    def key(self, key: Any, path: tuple[Key, ...]) -> str:
        if isinstance(key, str):
            return str.__str__(key)
        raise self.error(path, f"the key {key!r} is of type {type(key).__name__}; keys must be text")

    def error(self, path: tuple[Key, ...], reason: str) -> DataError:
        return DataError(path_text(self.name, path), reason)


_HANDLERS: dict[type, Callable[[_Walk, Any, tuple[Key, ...], int], Any]] = {
    dict: _Walk.of_dict,
    list: _Walk.of_list,
    tuple: _Walk.of_list,
    int: _Walk.of_int,
    float: _Walk.of_float,
    OutputReference: _Walk.of_reference,
    datetime: _Walk.of_datetime,
    date: _Walk.of_date,
    UUID: _Walk.of_uuid,
    Decimal: _Walk.of_decimal,
    Signal: _Walk.of_signal,
}

_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes(value)),
    (dict, lambda value: dict(value)),
    (list, lambda value: list(value)),
    (tuple, lambda value: list(value)),
    (datetime, lambda value: datetime.fromisoformat(value.isoformat())),
)


def _pack(value: Any, name: str, limit: int) -> bytes:
    try:
        data: bytes = msgpack.packb(value)
    except UnicodeEncodeError as error:
        path = path_text(name, _path_of_broken_text(value, ()) or ())
        raise DataError(path, f"text that is no valid Unicode: {error.reason}") from error
    except (ValueError, OverflowError, TypeError) as error:
        raise DataError(name, str(error)) from error
    if len(data) > limit:
        raise PayloadTooLarge(name, len(data), limit)
    if len(data) > MAX_KEY:
        _check_sizes(value, name, ())
    return data


def _check_sizes(value: Any, name: str, path: tuple[Key, ...]) -> None:
    """Raise :class:`DataError` for a key that is too long, or too many items in one place."""
    if not isinstance(value, (dict, list, tuple)):
        return
    if len(value) > MAX_ITEMS:
        where = path_text(name, path)
        raise DataError(where, f"{len(value):,} items are more than {MAX_ITEMS:,} in one place")
    if isinstance(value, dict):
        longest = max(value, key=len, default="")
        if len(longest) > MAX_KEY:
            shown = f"{longest[:40]}…"
            raise DataError(
                path_text(name, path),
                f"the key {shown!r} of {len(longest):,} characters is longer than {MAX_KEY:,}",
            )
        for key, item in value.items():
            if type(item) not in _FLAT:
                _check_sizes(item, name, (*path, key))
    else:
        for position, item in enumerate(value):
            if type(item) not in _FLAT:
                _check_sizes(item, name, (*path, position))


def _path_of_broken_text(value: Any, path: tuple[Key, ...]) -> tuple[Key, ...] | None:
    """Where the first text stands that cannot be encoded; looked for only once there is one."""
    if isinstance(value, str):
        return path if any("\ud800" <= letter <= "\udfff" for letter in value) else None
    if isinstance(value, dict):
        items: Iterable[tuple[Key, Any]] = value.items()
        if any(_path_of_broken_text(key, ()) is not None for key in value):
            return path  # a key itself: named by what holds it
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return None
    found = (_path_of_broken_text(item, (*path, key)) for key, item in items)
    return next((place for place in found if place is not None), None)


def _from_extension(code: int, data: bytes) -> Any:
    if code == _DATETIME:
        moment = datetime.fromisoformat(data.decode())
        if moment.tzinfo is None:
            raise ValueError("a datetime without a time zone")
        return moment
    if code == _DATE:
        return date.fromisoformat(data.decode())
    if code == _UUID:
        return UUID(bytes=data)
    if code == _DECIMAL:
        return Decimal(data.decode())
    if code == _SIGNAL:
        return Signal(data.decode())
    raise ValueError(f"unknown extension type {code}")
