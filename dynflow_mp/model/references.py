"""A reference to what a step will have written: allowed anywhere in another action's input."""

from __future__ import annotations

from typing import NamedTuple

Key = str | int


class OutputReference:
    """The output of one action of the same plan, or a part of it.

    ``reference["key"]`` is a reference to that part; whether the key exists is known only when the
    producing step has run. Immutable; prints as ``Step(4).output['classification']['assignee']``.
    """

    __slots__ = ("action_id", "plan_id", "step_id", "subkeys")

    plan_id: str
    step_id: int
    action_id: int
    subkeys: tuple[Key, ...]

    def __init__(self, plan_id: str, step_id: int, action_id: int, subkeys: tuple[Key, ...] = ()) -> None:
        object.__setattr__(self, "plan_id", plan_id)
        object.__setattr__(self, "step_id", step_id)
        object.__setattr__(self, "action_id", action_id)
        object.__setattr__(self, "subkeys", subkeys)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an output reference cannot be changed")

    def __getitem__(self, key: Key) -> OutputReference:
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise TypeError(f"{self} can be followed by text keys and list positions, not {key!r}")
        return OutputReference(self.plan_id, self.step_id, self.action_id, (*self.subkeys, key))

    def __iter__(self) -> None:
        raise TypeError(f"{self} cannot be iterated while planning: its value is not known yet")

    __contains__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutputReference) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[str, int, tuple[Key, ...]]:
        return self.plan_id, self.step_id, self.subkeys

    def __str__(self) -> str:
        return reference_text(self.step_id, self.subkeys)

    __repr__ = __str__


class StoredReference(NamedTuple):
    """One reference of an input, as it is stored beside it.

    ``path`` leads from the input's top to the place (where the stored input holds ``None``).
    """

    path: tuple[Key, ...]
    step_id: int
    action_id: int
    subkeys: tuple[Key, ...]


def reference_text(step_id: int, subkeys: tuple[Key, ...]) -> str:
    """How a reference is shown to people."""
    return f"Step({step_id}).output" + "".join(f"[{key!r}]" for key in subkeys)
