"""Which action classes there are, by the name they are stored under.

A class is found only because it was defined here; no name from a plan or a wire is ever imported.
"""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from dynflow_mp.errors import UnknownAction

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action

_MAIN = "__main__"


class Registry:
    """Every action class of this process. Filled as modules are imported; owned by none, read by all."""

    def __init__(self) -> None:
        self.generation = 0
        """Grows with every class: whoever keeps facts about classes looks here whether they still hold."""
        self._classes: dict[str, type[Action]] = {}

    def register(self, kind: type[Action]) -> None:
        """Enter ``kind``; a later class of the same name (a reloaded module) takes the place."""
        self._classes[name_of(kind)] = kind
        self.generation += 1

    def find(self, name: str) -> type[Action]:
        """The class stored as ``name``. Raises :class:`UnknownAction`."""
        try:
            return self._classes[name]
        except KeyError:
            raise UnknownAction(name, sorted({kind.__module__ for kind in self._classes.values()})) from None

    def has(self, kind: type[Action]) -> bool:
        """Whether plans may be made of ``kind``: it was registered, or one of its name was."""
        return name_of(kind) in self._classes

    def all(self) -> list[type[Action]]:
        """Every class, in the order of their first definition."""
        return list(self._classes.values())

    def modules(self) -> list[str]:
        """The modules to import so that all these classes are there; the script being run is not among them."""
        found = dict.fromkeys(kind.__module__ for kind in self._classes.values())
        found.pop(_MAIN, None)
        return list(found)

    def script(self) -> tuple[str, str] | None:
        """``(module name, path)`` under which a worker loads the script being run, if actions live in it."""
        if not any(kind.__module__ == _MAIN for kind in self._classes.values()):
            return None
        path = _main_file()
        return (main_name(), path) if path else None


registry = Registry()


def name_of(kind: type) -> str:
    """The name a class is stored under: module and qualified name; for the script being run, its own name."""
    module = kind.__module__
    return f"{main_name() if module == _MAIN else module}.{kind.__qualname__}"


def short_name(name: str) -> str:
    """The class's own name within a stored one."""
    return name.rpartition(".")[2]


def main_name() -> str:
    """What the script being run is called as a module: as ``python -m`` found it, or after its file."""
    main = sys.modules.get(_MAIN)
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name)
    path = _main_file()
    return PurePath(path).stem if path else _MAIN


def is_out_of_reach(name: str) -> bool:
    """Whether a class stored under this name has no file that a worker could load it from.

    So it is with what was typed into an interactive session, a notebook, or ``python -c``.
    """
    return name.startswith(f"{_MAIN}.")


def _main_file() -> str | None:
    """The file of the script being run; None in an interactive session or where it came through a pipe."""
    path = getattr(sys.modules.get(_MAIN), "__file__", None)
    return None if path is None or PurePath(path).name.startswith("<") else str(path)
