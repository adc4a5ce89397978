"""Which plans a list shows, as its address says: checked here, before any of it reaches a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from dynflow_mp.errors import PlanNotFound, QueryError
from dynflow_mp.model.plan_orders import ORDERS
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.planning.ids import plan_id_of

MOST_PER_PAGE = 500
MOST_PAGES = 1_000_000
MOST_VALUES = 20
LONGEST = {"label": 255, "action": 255, "error": 500, "caller": 60}
_LONGEST_OTHER = 60
_SEVERAL = {"state": "states", "result": "results"}
_NAMES = (*_SEVERAL, *LONGEST, "since", "until", "order_by", "desc", "page", "per_page")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
W = TypeVar("W", PlanState, Result)


@dataclass(frozen=True, slots=True)
class PlanQuery:
    """Filters (None, or none of them: all), an ordering and a page, which counts from 0.

    ``label``: a part of it, whatever its letters' case; ``action``: the class of any action, with its module or without;
    ``since`` and ``until``: started not before the one, and before the other; ``error``: a text in the errors of its steps, case
    and all, but not in what a step printed before it died; ``caller``: the plan it is a sub-plan of. Raises :class:`QueryError`, naming the field, for what cannot be meant.
    """

    states: tuple[PlanState, ...] = ()
    results: tuple[Result, ...] = ()
    label: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    caller: str | None = None
    order_by: str = ORDERS[0]
    desc: bool = True
    page: int = 0
    per_page: int = 50

    def __post_init__(self) -> None:
        _check_words("state", self.states, PlanState)
        _check_words("result", self.results, Result)
        for name, longest in LONGEST.items():
            _check_text(name, getattr(self, name), longest)
        for name in ("since", "until"):
            _check_time(name, getattr(self, name))
        if self.caller is not None:
            object.__setattr__(self, "caller", _plan_id(self.caller))
        if self.order_by not in ORDERS:
            raise _bad("order_by", self.order_by, f"one of {', '.join(ORDERS)}")
        if type(self.desc) is not bool:
            raise _bad("desc", self.desc, "true or false")
        _check_number("page", self.page, 0, MOST_PAGES)
        _check_number("per_page", self.per_page, 1, MOST_PER_PAGE)

    @classmethod
    def from_params(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """From names and texts as a URL has them; a name without a text counts as not given."""
        several: dict[str, list[str]] = {name: [] for name in _SEVERAL}
        single: dict[str, str] = {}
        for name, text in pairs:
            _check_pair(name, text)
            if not text:
                continue
            if name in several:
                several[name].append(text)
                if len(several[name]) > MOST_VALUES:
                    raise QueryError(f"{name}: more than {MOST_VALUES} values", name)
            elif name in single:
                raise QueryError(f"{name} is given twice", name)
            else:
                single[name] = text
        given: dict[str, Any] = {name: _PARSE[name](name, text) for name, text in single.items()}
        return cls(
            states=_words("state", several["state"], PlanState),
            results=_words("result", several["result"], Result),
            **given,
        )

    def to_params(self) -> list[tuple[str, str]]:
        """What :meth:`from_params` makes the same query of; what is as it is anyway is left out."""
        found = [("state", str(state)) for state in self.states]
        found += [("result", str(result)) for result in self.results]
        usual = type(self)()
        for name in _NAMES[len(_SEVERAL) :]:
            value = getattr(self, name)
            if value != getattr(usual, name):
                found.append((name, _told(value)))
        return found

    def filters(self) -> Mapping[str, Any]:
        """As ``find_execution_plans`` and its like take them."""
        given: dict[str, Any] = {
            "state": self.states or None,
            "result": self.results or None,
            "label_contains": self.label,
            "action_class": self.action,
            "started_since": self.since,
            "started_until": self.until,
            "error_contains": self.error,
            "caller_execution_plan_id": self.caller,
        }
        return {name: value for name, value in given.items() if value is not None}

    def with_page(self, number: int) -> Self:
        """The same list, another page."""
        return replace(self, page=number)


def _check_pair(name: str, text: str) -> None:
    if name not in _NAMES:
        shown = name if len(name) <= _LONGEST_OTHER else f"{name[:_LONGEST_OTHER]}…"
        raise QueryError(
            f"{shown!r} is nothing that plans are listed by; they are by {', '.join(_NAMES)}", shown
        )
    _check_text(name, text, LONGEST.get(name, _LONGEST_OTHER))


def _check_text(name: str, text: Any, longest: int) -> None:
    if text is None:
        return
    if not isinstance(text, str):
        raise _bad(name, text, "a text")
    if len(text) > longest:
        raise QueryError(f"{name}: {len(text)} characters are more than {longest}", name)
    if "\0" in text or not _is_unicode(text):
        raise QueryError(f"{name} has characters that no text of ours has", name)


def _is_unicode(text: str) -> bool:
    """Whether it can be sent to a database: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_words(name: str, given: Any, kind: type[W]) -> None:
    if not isinstance(given, tuple) or not all(isinstance(word, kind) for word in given):
        raise _bad(name, given, f"a tuple of {kind.__name__}")


def _words(name: str, texts: Iterable[str], kind: type[W]) -> tuple[W, ...]:
    found: dict[W, None] = {}
    for text in texts:
        try:
            found[kind(text)] = None
        except ValueError:
            raise _bad(name, text, f"one of {', '.join(kind)}") from None
    return tuple(found)


def _check_time(name: str, time: Any) -> None:
    if time is None:
        return
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise _bad(name, time, "a time with a time zone")


def _check_number(name: str, number: Any, least: int, most: int) -> None:
    if type(number) is not int or not least <= number <= most:
        raise _bad(name, number, f"a whole number from {least} to {most:,}")


def _time(name: str, text: str) -> datetime:
    """Without a zone it is UTC, as every time of ours is shown."""
    try:
        # In an address a plus that was not escaped is a space.
        time = datetime.fromisoformat(
            text.replace(" 00:00", "+00:00") if text.endswith(" 00:00") and "T" in text else text
        )
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad(name, text, "a time such as 2026-11-26T14:30:00Z") from None


def _number(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _bad(name, text, "a whole number")
    return int(text)


def _truth(name: str, text: str) -> bool:
    if text not in _TRUTHS:
        raise _bad(name, text, "true or false")
    return _TRUTHS[text]


def _as_it_is(name: str, text: str) -> str:
    return text


_PARSE: Mapping[str, Any] = {
    **dict.fromkeys(("label", "action", "error", "caller", "order_by"), _as_it_is),
    **dict.fromkeys(("since", "until"), _time),
    **dict.fromkeys(("page", "per_page"), _number),
    "desc": _truth,
}


def _plan_id(given: str) -> str:
    try:
        return plan_id_of(given)
    except PlanNotFound:
        raise _bad("caller", given, "the id of a plan, a UUID") from None


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bad(name: str, given: object, wanted: str) -> QueryError:
    shown = repr(given)
    return QueryError(f"{name}={shown if len(shown) <= 80 else shown[:80] + '…'}: must be {wanted}", name)
