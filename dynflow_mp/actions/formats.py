"""Whether inputs and outputs are of the form a class says: a TypedDict, a dataclass or a pydantic model.

Only what is stored is looked at, plain data, and nothing is converted: where a dataclass has a nested dataclass, there
is a dict. Keys beside those of the form are nobody's business. pydantic is asked if a class is a model of it, and is not
imported otherwise.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from dynflow_mp.errors import DefinitionError, FormatError
from dynflow_mp.model.codec import path_text
from dynflow_mp.model.references import Key, OutputReference
from dynflow_mp.redaction import MASK, is_sensitive, redacted

Path: TypeAlias = tuple[Key, ...]


class Fault(NamedTuple):
    """What is not of the form, and where."""

    path: Path
    expected: str
    found: str


Faults: TypeAlias = "Callable[[Any, Path], Iterator[Fault]]"


class Format:
    """One form. Its parts are looked up when it is first used: they may be defined after the class that names it."""

    __slots__ = ("_faults", "_kind", "_name", "_sensitive", "_what")

    def __init__(self, kind: type, what: str, sensitive: Sequence[str] = ()) -> None:
        """``what`` is ``input`` or ``output``, ``sensitive`` are paths whose values errors do not show."""
        self._sensitive = sensitive
        self._kind, self._what = kind, what
        self._name = f"{kind.__module__}.{kind.__qualname__}"
        self._faults: Faults | None = None

    def check(self, values: dict[str, Any]) -> None:
        """Raises :class:`FormatError` for the first thing that is not of the form. References may become anything."""
        if self._faults is None:
            self._faults = _faults_of_model(self._kind) if _is_model(self._kind) else _faults_of(self._kind)
        for path, expected, found in self._faults(values, ()):
            shown = hidden(found) if self._is_secret(path) else found
            raise FormatError(path_text(self._what, path), expected, shown, self._name)

    def _is_secret(self, path: Path) -> bool:
        """Whether a telling key is on the way, or the class's own word hides what is there, or some of it."""
        keys = [key for key in path if isinstance(key, str)]
        own = (one.split(".") for one in self._sensitive)
        return any(map(is_sensitive, keys)) or any(
            keys[: len(one)] == one[: len(keys)] for one in own if keys or one
        )


def format_of(action_class: type, attribute: str) -> Format | None:
    """The form that a class's ``input_format`` or ``output_format`` is. Raises :class:`DefinitionError`."""
    kind: Any = getattr(action_class, attribute)
    if kind is None:
        return None
    if not (isinstance(kind, type) and (_is_model(kind) or _is_typed_dict(kind) or _is_dataclass(kind))):
        raise DefinitionError(
            f"{action_class.__module__}.{action_class.__qualname__}.{attribute} is {kind!r}; "
            "it must be a TypedDict, a dataclass or a pydantic model"
        )
    return Format(kind, attribute.partition("_")[0], getattr(action_class, "sensitive", ()))


def check(action_class: type) -> None:
    """Raises :class:`DefinitionError` for what is no form."""
    for attribute in ("input_format", "output_format"):
        if attribute in vars(action_class):
            format_of(action_class, attribute)


def _is_model(kind: Any) -> bool:
    return hasattr(kind, "model_validate") and hasattr(kind, "model_fields")


def _is_typed_dict(kind: Any) -> bool:
    return hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")


def _is_dataclass(kind: Any) -> bool:
    return hasattr(kind, "__dataclass_fields__")


# -- annotations -------------------------------------------------------------------------------------

_ANYTHING = (Any, object)


def _faults_of(kind: Any) -> Faults:
    """What finds the faults of values annotated so, at any depth."""
    kind = _bare(kind)
    if kind in _ANYTHING or isinstance(kind, typing.TypeVar):
        return lambda value, path: iter(())
    if _is_typed_dict(kind):
        return _faults_of_fields(kind, typing.get_type_hints(kind), _typed_dict_required(kind))
    if _is_dataclass(kind):
        return _faults_of_fields(kind, _dataclass_hints(kind), _dataclass_required(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _faults_of_choice([member.value for member in kind])
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _faults_of_choice(list(arguments))
    if origin in (typing.Union, types.UnionType):
        return _faults_of_union(kind, [_faults_of(part) for part in arguments])
    return _faults_of_container(kind, origin or kind, arguments)


def _bare(kind: Any) -> Any:
    """Without what only type checkers look at."""
    while True:
        if hasattr(kind, "__supertype__"):
            kind = kind.__supertype__
        elif hasattr(kind, "__metadata__"):
            kind = kind.__origin__
        elif typing.get_origin(kind) in (typing.Required, typing.NotRequired):
            kind = typing.get_args(kind)[0]
        else:
            return type(None) if kind is None else kind


def _faults_of_container(kind: Any, origin: Any, arguments: tuple[Any, ...]) -> Faults:
    if not isinstance(origin, type):
        raise DefinitionError(f"stored data cannot be checked against {kind!r}")
    if origin is tuple and arguments and arguments[-1] is not ...:
        return _faults_of_tuple(kind, [_faults_of(part) for part in arguments])
    if origin in _LISTS:
        return _faults_of_list(kind, _faults_of(arguments[0]) if arguments else None)
    if issubclass(origin, dict) or origin is Mapping:
        return _faults_of_dict(kind, _faults_of(arguments[1]) if arguments else None)
    return _faults_of_class(kind, origin)


_LISTS = (list, tuple, Sequence, typing.Collection, typing.Iterable)


def _faults_of_class(kind: Any, wanted: type) -> Faults:
    accepted = (float, int) if wanted is float else (wanted,)

    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if (type(value) is bool and wanted in (int, float)) or not isinstance(
            value, (*accepted, OutputReference)
        ):  # a bool is an int to Python, and to nobody else
            yield Fault(path, _name(kind), _shown(value))

    return faults


def _faults_of_choice(values: list[Any]) -> Faults:
    expected = "one of " + ", ".join(map(repr, values))

    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, OutputReference) and not any(
            type(value) is type(one) and value == one for one in values
        ):
            yield Fault(path, expected, _shown(value))

    return faults


def _faults_of_union(kind: Any, parts: list[Faults]) -> Faults:
    def faults(value: Any, path: Path) -> Iterator[Fault]:
        found = [next(part(value, path), None) for part in parts]
        if all(found):
            deepest = max((fault for fault in found if fault is not None), key=lambda fault: len(fault.path))
            yield deepest if len(deepest.path) > len(path) else Fault(path, _name(kind), _shown(value))

    return faults


def _faults_of_list(kind: Any, item: Faults | None) -> Faults:
    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if isinstance(value, (list, tuple)):
            if item is not None:
                for index, one in enumerate(value):
                    yield from item(one, (*path, index))
        elif not isinstance(value, OutputReference):
            yield Fault(path, _name(kind), _shown(value))

    return faults


def _faults_of_tuple(kind: Any, items: list[Faults]) -> Faults:
    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if isinstance(value, OutputReference):
            return
        if not isinstance(value, (list, tuple)) or len(value) != len(items):
            yield Fault(path, _name(kind), _shown(value))
            return
        for index, (item, one) in enumerate(zip(items, value, strict=True)):
            yield from item(one, (*path, index))

    return faults


def _faults_of_dict(kind: Any, item: Faults | None) -> Faults:
    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if isinstance(value, Mapping):
            if item is not None:
                for key, one in value.items():
                    yield from item(one, (*path, key))
        elif not isinstance(value, OutputReference):
            yield Fault(path, _name(kind), _shown(value))

    return faults


def _faults_of_fields(kind: Any, hints: Mapping[str, Any], required: frozenset[str]) -> Faults:
    parts: dict[str, Faults] = {}

    def faults(value: Any, path: Path) -> Iterator[Fault]:
        if not parts:  # only now: a form may contain itself
            parts.update({name: _faults_of(hint) for name, hint in hints.items()})
        if isinstance(value, OutputReference):
            return
        if not isinstance(value, Mapping):
            yield Fault(path, _name(kind), _shown(value))
            return
        for name, part in parts.items():
            if name in value:
                yield from part(value[name], (*path, name))
            elif name in required:
                yield Fault((*path, name), _name(hints[name]), "nothing")

    return faults


def _typed_dict_required(kind: Any) -> frozenset[str]:
    """Python itself overlooks ``NotRequired`` in annotations that are texts, as they are in many modules."""
    said = {
        name: typing.get_origin(hint)
        for name, hint in typing.get_type_hints(kind, include_extras=True).items()
    }
    return frozenset(
        name
        for name, origin in said.items()
        if origin is typing.Required or (origin is not typing.NotRequired and name in kind.__required_keys__)
    )


def _dataclass_hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {name: hints[name] for name in _own_fields(kind)}


def _dataclass_required(kind: Any) -> frozenset[str]:
    from dataclasses import MISSING  # whoever has a dataclass has paid for this already

    fields = _own_fields(kind).items()
    return frozenset(
        name for name, field in fields if field.default is MISSING and field.default_factory is MISSING
    )


def _own_fields(kind: Any) -> dict[str, Any]:
    from dataclasses import fields

    return {field.name: field for field in fields(kind) if field.init}


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


_MOST_SHOWN = 60


def hidden(found: str) -> str:
    """What was found, by its type alone."""
    return found if found in ("None", "nothing") else f"{found.partition(' ')[0]} {MASK}"


def _shown(value: Any) -> str:
    if value is None:
        return "None"
    text = repr(redacted(value))
    return f"{type(value).__name__} {text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + '…'}"


# -- pydantic ----------------------------------------------------------------------------------------


def _faults_of_model(kind: Any) -> Faults:
    from pydantic import ValidationError

    def faults(value: Any, path: Path) -> Iterator[Fault]:
        open_places = list(_places_of_references(value, ()))
        try:
            kind.model_validate(value)
        except ValidationError as error:
            for fault in error.errors():
                place = tuple(fault["loc"])
                if not any(_concerns(place, open_place) for open_place in open_places):
                    found = "nothing" if fault["type"] == "missing" else _shown(fault["input"])
                    yield Fault(_data_path(value, place), str(fault["msg"]), found)

    return faults


def _places_of_references(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, OutputReference):
        yield path
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _places_of_references(one, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _places_of_references(one, (*path, index))


def _concerns(place: Path, open_place: Path) -> bool:
    """Whether what is said of a place may be because of a reference: it is there, below, or above it."""
    shorter = min(len(place), len(open_place))
    return place[:shorter] == open_place[:shorter]


def _data_path(value: Any, place: Path) -> Path:
    """The part of a place that is in the data: of a union, it names the part that was tried as well."""
    path: list[Key] = []
    for number, key in enumerate(place):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            if number == len(place) - 1:
                path.append(key)
            continue
        path.append(key)
    return tuple(path)
