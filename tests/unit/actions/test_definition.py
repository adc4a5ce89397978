"""Action classes that cannot work say so where they are defined."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from dynflow_mp import Action, DefinitionError


def define(**body: Any) -> type[Action]:
    return type("Order", (Action,), {"__module__": "shop", **body}, abstract=True)


async def coroutine(self: Any) -> None:
    pass


def generator(self: Any) -> Any:
    yield


async def async_generator(self: Any) -> Any:
    yield


@pytest.mark.parametrize("phase", ["plan", "run", "finalize"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (coroutine, "is async"),
        (async_generator, "is async"),
        (generator, "contains yield"),
        ("text", "is a str, not a method"),
        (property(lambda self: None), "is a property, not a method"),
        (lambda: None, "takes no arguments"),
    ],
)
def test_a_phase_that_could_never_be_called_is_refused(phase: str, body: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=rf"shop\.Order\.{phase} .*{words}"):
        define(**{phase: body})


@pytest.mark.parametrize(
    ("phase", "body"),
    [
        ("run", lambda self, first, second: None),
        ("run", lambda self, event: None),
        ("run", lambda self, *, event: None),
        ("finalize", lambda self, outcome: None),
    ],
)
def test_arguments_that_nobody_gives_are_refused(phase: str, body: Any) -> None:
    with pytest.raises(DefinitionError, match="needs arguments that nobody gives it"):
        define(**{phase: body})


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    "body",
    [
        None,
        lambda self: None,
        lambda self, event=None: None,
        lambda *args, **kwargs: None,
        staticmethod(lambda: None),
        classmethod(lambda cls: None),
        functools.partialmethod(lambda self, said: None, "hello"),
        decorated(coroutine),
        print,
    ],
)
def test_whatever_can_be_called_as_a_method_is_taken(body: Any) -> None:
    assert define(run=body).__name__ == "Order"


def test_a_class_that_was_refused_is_not_an_action_plans_can_be_made_of() -> None:
    from dynflow_mp.actions.registry import registry

    generation = registry.generation

    with pytest.raises(DefinitionError):
        type("Refused", (Action,), {"__module__": "shop", "run": 5})

    assert registry.generation == generation


def test_a_refused_class_is_a_type_error_for_those_who_expect_one() -> None:
    with pytest.raises(TypeError, match=r"shop\.Order\.run"):
        define(run=5)


@pytest.mark.parametrize("wanted", [42, "", int, [Action, None], classmethod(lambda cls: Action)])
def test_what_cannot_be_subscribed_to_is_refused(wanted: Any) -> None:
    with pytest.raises(DefinitionError, match=r"shop\.Order\.subscribe is .* it must be an action class"):
        define(subscribe=wanted)


@pytest.mark.parametrize("wanted", [None, Action, "shop.Order", [Action, "shop.Order"], ()])
def test_classes_their_names_and_lists_of_both_can_be_subscribed_to(wanted: Any) -> None:
    assert define(subscribe=wanted).subscribe == wanted
