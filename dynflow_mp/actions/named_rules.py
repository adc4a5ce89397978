"""The middleware of a whole world, by the names its settings give: workers get names, never objects.

The names come from settings, as the modules given by ``--app`` do; none from a plan or a wire is ever imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

from dynflow_mp.actions.middleware import CLASSES_ONLY, MiddlewareRules, Use, rules_in
from dynflow_mp.actions.registry import main_name
from dynflow_mp.errors import DefinitionError

_MAIN = "__main__"


def rules_at(places: Sequence[str]) -> MiddlewareRules:
    """The rules named by ``module:name``: a class, a :class:`Use`, or a list of them each.

    Raises :class:`DefinitionError` for what is not there or is none of these, :class:`CyclicMiddleware`, and whatever a
    module raises while it is imported.
    """
    rules: list[Use] = []
    for place in places:
        rules += rules_in(_found(place), f"middleware {place}")
    return MiddlewareRules(rules)


class NamedRules:
    """The rules at these places, looked up when first asked for: a supervisor never plans, and imports nothing."""

    def __init__(self, places: Sequence[str] = ()) -> None:
        self._places = tuple(places)

    @cached_property
    def rules(self) -> MiddlewareRules:
        """Raises as :func:`rules_at` does."""
        return rules_at(self._places) if self._places else CLASSES_ONLY


NO_RULES = NamedRules()


def known_places(places: Sequence[str]) -> tuple[str, ...]:
    """As a worker finds them: the script being run has another name there."""
    return tuple(
        f"{main_name()}:{name}" if module == _MAIN else f"{module}:{name}"
        for module, _, name in (place.partition(":") for place in places)
    )


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    found: Any = sys.modules.get(module)
    if found is None:
        found = sys.modules[_MAIN] if module == main_name() else _imported(module, place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise DefinitionError(f"middleware {place}: there is no {part} in {module}")
        found = getattr(found, part)
    return found


def _imported(module: str, place: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the module itself wants
        raise DefinitionError(f"middleware {place}: there is no module {error.name}") from None
