"""Data on a command line: JSON, from a file (``@path``) or standard input (``@-``), tagged where JSON has no such thing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

_LARGEST = 64 * 1024 * 1024
_SHOWN = 60


def value_of(text: str, what: str) -> Any:
    """The value that ``text`` is JSON of; ``{"$datetime": "…"}`` and its like as in backups.

    Raises :class:`click.UsageError`, naming ``what``. What is in it is not shown: it may be secret.
    """
    from dynflow_mp.persistence.backup import from_json

    if text.startswith("@"):
        text = _file(text[1:], what)
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise click.UsageError(f"{what}: nested too deeply") from None
    except ValueError as error:
        hint = "" if text[:1] in '{["' else "; a text needs its quotes, '\"like this\"'"
        raise click.UsageError(f"{what}: is not JSON: {_reason(error)}{hint}") from None
    try:
        return from_json(found)
    except Exception as error:  # whatever a tag's own kind makes of what is not of it
        raise click.UsageError(f"{what}: a $-tagged value is not of its kind: {error}") from None


def mapping_of(text: str, what: str) -> dict[str, Any]:
    """As :func:`value_of`, for what must be an object."""
    found = value_of(text, what)
    if not isinstance(found, dict):
        raise click.UsageError(f'{what}: must be a JSON object, such as \'{{"path": "/srv"}}\'')
    return found


def pairs_of(texts: Iterable[str], what: str) -> dict[str, Any]:
    """Values by name of ``KEY=JSON`` each."""
    found: dict[str, Any] = {}
    for given in texts:
        key, separator, value = given.partition("=")
        if not separator or not key:
            raise click.UsageError(f"{what}: {given[:_SHOWN]!r} is not KEY=JSON")
        if key in found:
            raise click.UsageError(f"{what}: {key[:_SHOWN]!r} is given twice")
        found[key] = value_of(value, f"{what} {key[:_SHOWN]}")
    return found


def _file(name: str, what: str) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise click.UsageError(f"{what}: {name} has more than {_LARGEST:,} bytes")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise click.UsageError(f"{what}: {name} cannot be read: {reason}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON's")


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return str(error)
