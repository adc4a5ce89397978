"""Which plans a command is about: filters under the names that :class:`PlanQuery` and the console's addresses have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dynflow_mp.cli import completion
from dynflow_mp.cli.words import AGO
from dynflow_mp.model.states import PlanState, Result

if TYPE_CHECKING:
    from dynflow_mp.reading.plan_query import PlanQuery

_Command = Callable[..., Any]


class Filters(NamedTuple):
    """Names and texts, as in an address, and the key of a group of failures; none of them: all plans."""

    pairs: tuple[tuple[str, str], ...]
    failure: str | None = None

    def __bool__(self) -> bool:
        return bool(self.pairs) or self.failure is not None

    def query(self, **more: Any) -> PlanQuery:
        """As the library takes it. Raises :class:`QueryError`."""
        from dynflow_mp.reading.plan_query import PlanQuery

        told = [(name, str(value)) for name, value in more.items() if value is not None]
        return PlanQuery.from_params([*self.pairs, *told])


_OPTIONS = (
    click.option(
        "--state",
        multiple=True,
        type=click.Choice([state.value for state in PlanState]),
        help="In one of these states.",
    ),
    click.option(
        "--result",
        multiple=True,
        type=click.Choice([result.value for result in Result]),
        help="With one of these results.",
    ),
    click.option("--label", help="A part of the label."),
    click.option("--action", help="With an action of this class, with its module or without."),
    click.option(
        "--since", type=AGO, help="Started at this time or later: ISO 8601 (UTC), or 2h for two hours ago."
    ),
    click.option("--until", type=AGO, help="Started before this time."),
    click.option("--error", help="A text in the errors of its steps."),
    click.option("--caller", shell_complete=completion.plan_ids, help="Sub-plans of this plan."),
)
_NAMES = ("state", "result", "label", "action", "since", "until", "error", "caller")


def filtered(command: _Command) -> _Command:
    """``--state``, ``--result``, ``--label`` and so on, as ``filters``."""

    @wraps(command)
    def chosen(*args: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in _NAMES}
        return command(*args, filters=_filters_of(given), **options)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen


def _filters_of(given: dict[str, Any]) -> Filters:
    return Filters(tuple((name, text) for name, value in given.items() for text in _texts_of(value)))


def _texts_of(value: Any) -> list[str]:
    """What an address would say of it: nothing, if nothing was given."""
    if isinstance(value, tuple):
        return [str(each) for each in value]
    if isinstance(value, datetime):
        return [value.isoformat()]
    return [value] if value else []


def filtered_or_failed(command: _Command) -> _Command:
    """As :func:`filtered`, and ``--failure``."""

    @filtered
    @click.option(
        "--failure", metavar="KEY", help="The plans behind one error, as 'plans failures' groups them."
    )
    @wraps(command)
    def chosen(*args: Any, filters: Filters, failure: str | None, **options: Any) -> Any:
        return command(*args, filters=filters._replace(failure=failure), **options)

    return chosen
