"""``retry = Retry(…)``: a class's wish that its failed run steps are tried again by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, NamedTuple, Self

from dynflow_mp.errors import ENGINE_ERRORS, BadArgument
from dynflow_mp.model.policies import RetryPolicy

_MOST_ATTEMPTS = 1_000_000
_LONGEST_S = 100_000_000
Kinds = tuple[type[BaseException], ...]


class _Fields(NamedTuple):
    max_attempts: int
    backoff_s: float
    factor: float
    jitter: float
    on: Kinds
    not_on: Kinds


class Retry(_Fields):
    """At most ``max_attempts`` attempts; the n-th wait lasts ``backoff_s * factor ** (n - 1)`` seconds.

    ``jitter`` moves each wait by up to that part of it, so that many do not come back at once. Tried again is
    after errors of the classes ``on`` that are not of the classes ``not_on``. While it waits, a step holds no
    worker; the waits are stored and survive restarts. Raises :class:`BadArgument` for what cannot be meant.
    """

    __slots__ = ()

    def __new__(
        cls,
        max_attempts: int = 3,
        backoff_s: float = 1.0,
        factor: float = 2.0,
        jitter: float = 0.1,
        on: type[BaseException] | Iterable[type[BaseException]] = Exception,
        not_on: type[BaseException] | Iterable[type[BaseException]] = (),
    ) -> Self:
        if type(max_attempts) is not int or not 1 <= max_attempts <= _MOST_ATTEMPTS:
            raise _bad("max_attempts", max_attempts, f"a whole number from 1 to {_MOST_ATTEMPTS:,}")
        _check_number("backoff_s", backoff_s, 0, _LONGEST_S)
        _check_number("factor", factor, 1, 1_000)
        _check_number("jitter", jitter, 0, 1)
        kinds = _kinds("on", on), _kinds("not_on", not_on)
        return super().__new__(cls, max_attempts, float(backoff_s), float(factor), float(jitter), *kinds)

    def covers(self, error: BaseException) -> bool:
        """Whether a step is tried again after this error."""
        return isinstance(error, self.on) and not isinstance(error, self.not_on)

    def frozen(self) -> RetryPolicy:
        """As it is kept with a plan: data, and of the engine's own errors the names."""
        named = tuple(
            kind.__name__
            for kind in ENGINE_ERRORS
            if issubclass(kind, self.on) and not issubclass(kind, self.not_on)
        )
        return RetryPolicy(self.max_attempts, self.backoff_s, self.factor, self.jitter, named)


def _check_number(name: str, given: Any, low: float, high: float) -> None:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not (number and isfinite(given) and low <= given <= high):
        raise _bad(name, given, f"a number from {low} to {high:,}")


def _kinds(name: str, given: Any) -> Kinds:
    """One class stands for a tuple of it, as in ``except``."""
    kinds = tuple(given) if isinstance(given, (tuple, list, set, frozenset)) else (given,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise _bad(name, given, "exception classes")
    return kinds


def _bad(name: str, given: object, wanted: str) -> BadArgument:
    return BadArgument(f"Retry({name}={given!r}): must be {wanted}")
