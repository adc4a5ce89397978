"""What can be told of an action class as soon as it is defined: that it cannot work as it is written."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import AsyncGeneratorType, CodeType, CoroutineType, GeneratorType
from typing import Any

from dynflow_mp.errors import DefinitionError, StepError

_PHASES = ("plan", "run", "finalize", "delay")
_VARARGS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x20, 0x80, 0x200
_NEVER_DONE: tuple[type, ...] = (CoroutineType, GeneratorType, AsyncGeneratorType)


def check(kind: type, action: type) -> None:
    """Raises :class:`DefinitionError` if ``plan``, ``run``, ``finalize`` or ``delay`` could never be called as they are.

    Or if ``subscribe`` names what is no action class (``action`` is what all of those derive from), or ``sensitive``
    is no tuple of paths.
    """
    if "subscribe" in vars(kind):
        _check_subscribe(kind, vars(kind)["subscribe"], action)
    if "sensitive" in vars(kind):
        _check_sensitive(kind, vars(kind)["sensitive"])
    for phase in _PHASES:
        found = _as_written(kind, phase)
        if found is not None:
            _check_phase(f"{kind.__module__}.{kind.__qualname__}.{phase}", phase, found)


def _check_subscribe(kind: type, given: Any, action: type) -> None:
    if given is None:
        return
    several = given if isinstance(given, (list, tuple, set, frozenset)) else (given,)
    for one in several:
        named = isinstance(one, str) and one
        if not (named or (isinstance(one, type) and issubclass(one, action))):
            raise DefinitionError(
                f"{kind.__module__}.{kind.__qualname__}.subscribe is {given!r}; it must be an action class, "
                "its dotted name, or a list of them"
            )


def _check_sensitive(kind: type, given: Any) -> None:
    if not isinstance(given, (tuple, list)) or not all(
        isinstance(path, str) and all(path.split(".")) for path in given
    ):
        raise DefinitionError(
            f"{kind.__module__}.{kind.__qualname__}.sensitive is {given!r}; it must be a tuple of paths "
            'such as ("card.number",)'
        )


def refuse_unfinished(phase: str, returned: Any) -> None:
    """What a phase returns is nobody's business, unless it is work that nobody will do."""
    if isinstance(returned, _NEVER_DONE):
        if isinstance(returned, (Coroutine, Generator)):
            returned.close()  # else it complains, when it is collected, that it was never awaited
        raise StepError(
            f"{phase} returned a {type(returned).__name__}, and nothing of it has run; {_INSTEAD}"
        )


_INSTEAD = "it is called, not awaited: use asyncio.run(…) inside it"


def _as_written(kind: type, name: str) -> Any:
    """The attribute as it stands in the class's body, or in the body of the base it comes from."""
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _check_phase(name: str, phase: str, found: Any) -> None:
    bound = 0 if isinstance(found, staticmethod) else 1
    function = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
    if not callable(function) and not hasattr(function, "__get__"):
        raise DefinitionError(f"{name} is a {type(found).__name__}, not a method")
    if isinstance(found, property):
        raise DefinitionError(f"{name} is a property, not a method")
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return
    if code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
        raise DefinitionError(f"{name} is async; {_INSTEAD}")
    if code.co_flags & _GENERATOR:
        raise DefinitionError(f"{name} contains yield: it would be called, and nothing in it would run")
    if code.co_argcount < bound and not code.co_flags & _VARARGS:
        raise DefinitionError(f"{name} takes no arguments; a method takes self")
    if phase in ("run", "finalize"):
        _check_parameters(name, phase, bound, function, code)


def _check_parameters(name: str, phase: str, bound: int, function: Any, code: CodeType) -> None:
    """``run`` and ``finalize`` are called without arguments, ``run`` with an event at times."""
    needed = code.co_argcount - len(function.__defaults__ or ()) - bound
    named = code.co_kwonlyargcount - len(function.__kwdefaults__ or ())
    if needed > 0 or named > 0:
        call = "run(self) or run(self, event=None)" if phase == "run" else "finalize(self)"
        raise DefinitionError(
            f"{name} needs arguments that nobody gives it: write {call}, and read self.input instead"
        )
