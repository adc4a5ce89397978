"""Puts what references refer to in their places: parts of the outputs of other actions, or the references themselves."""

from __future__ import annotations

from typing import Any

from dynflow_mp.errors import MissingOutput
from dynflow_mp.model.codec import decode, path_text
from dynflow_mp.model.references import Key, OutputReference, reference_text


def part_of(output: Any, step_id: int, subkeys: list[Key], path: list[Key]) -> Any:
    """The part of a producer's output that a reference names; :class:`MissingOutput` where it is not."""
    for depth, key in enumerate(subkeys):
        try:
            output = output[key]
        except (LookupError, TypeError):
            text = reference_text(step_id, tuple(subkeys[:depth]))
            place = path_text("input", tuple(path))
            raise MissingOutput(text, str(key), place, _what_is_there(output)) from None
    return output


_MOST_KEYS = 10


def _what_is_there(output: Any) -> str:
    if isinstance(output, list):
        return f"it is a list of {len(output):,}"
    if not isinstance(output, dict):
        return f"it is of type {type(output).__name__}"
    if not output:
        return "it is empty"
    names = ", ".join(repr(key)[:40] for key in list(output)[:_MOST_KEYS])
    return f"it has {names}" + (" …" if len(output) > _MOST_KEYS else "")


def put(values: dict[str, Any], path: list[Key], value: Any) -> None:
    container: Any = values
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = value


def show_references(values: dict[str, Any], stored: bytes | None, plan_id: str) -> None:
    """Put the references themselves, not resolved yet, in their places."""
    for path, step_id, action_id, subkeys in decode(stored) if stored else ():
        put(values, path, OutputReference(plan_id, step_id, action_id, tuple(subkeys)))
