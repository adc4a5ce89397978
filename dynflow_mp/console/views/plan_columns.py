"""The list of plans: its columns, what orders by them, and what a form or a link says of a query."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from dynflow_mp.reading.plan_query import PlanQuery

Params = list[tuple[str, str]]


class Column(NamedTuple):
    """``params``: the list ordered by it, the other way round if it is already; None where it cannot be."""

    title: str
    params: Params | None = None
    sort: str | None = None
    classes: str = ""


_COLUMNS = (
    ("Label", "label", ""),
    ("Action", None, "wide"),
    ("State", "state", ""),
    ("Result", "result", ""),
    ("Progress", None, ""),
    ("Steps", None, "number wide"),
    ("Started", "started_at", ""),
    ("Took", None, "number wide"),
    ("Run by", None, "wide"),
)


def columns(query: PlanQuery, page_size: int) -> list[Column]:
    """The columns of the list that this query asks for; ``page_size`` as in :func:`params_of`."""
    return [_column(query, page_size, *column) for column in _COLUMNS]


def params_of(query: PlanQuery, page_size: int) -> Params:
    """What a link to this list says; ``page_size``: how many plans are on a page if it does not say."""
    params = query.to_params()
    if query.per_page != page_size and "per_page" not in dict(params):
        params.append(("per_page", str(query.per_page)))
    return params


def is_filtered(query: PlanQuery) -> bool:
    """Whether not all plans are asked for."""
    return bool(query.filters())


def unpaged(query: PlanQuery) -> PlanQuery:
    """All plans of a list, whatever page of it is looked at."""
    return query.with_page(0)


def form_time(time: datetime | None) -> str:
    """A time as ``<input type=datetime-local>`` has it, in UTC."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def in_words(query: PlanQuery) -> str:
    """The filters of a list, in a sentence; empty without any."""
    told = [f"state is {' or '.join(query.states)}"] if query.states else []
    if query.results:
        told.append(f"result is {' or '.join(query.results)}")
    for name, value in (("label contains", query.label), ("action class is", query.action)):
        if value:
            told.append(f"{name} “{value}”")
    if query.error:
        told.append(f"an error contains “{query.error}”")
    if query.since:
        told.append(f"started since {form_time(query.since)} UTC")
    if query.until:
        told.append(f"started before {form_time(query.until)} UTC")
    if query.caller:
        told.append(f"sub-plan of {query.caller}")
    return f"Of plans whose {', '.join(told)}." if told else ""


def _column(query: PlanQuery, page_size: int, title: str, order_by: str | None, classes: str) -> Column:
    if order_by is None:
        return Column(title, classes=classes)
    is_first = query.order_by == order_by
    # What is counted or timed is asked for from its end, what is read from its beginning.
    desc = not query.desc if is_first else order_by == "started_at"
    sort = None if not is_first else "descending" if query.desc else "ascending"
    params = params_of(replace(query, order_by=order_by, desc=desc, page=0), page_size)
    return Column(title, params or [("order_by", order_by)], sort, classes)
