"""What pages ask of a request: its page number, what its form says, the path that shows it again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from dynflow_mp.clock import now_us
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import path_for
from dynflow_mp.console.views.paging import Pages

_MOST_PAGES = 1_000_000


def now() -> datetime:
    """The time, on the engine's clock."""
    return datetime.fromtimestamp(now_us() / 1_000_000, UTC)


def same_path(request: Request, name: str, **params: Any) -> str:
    """The path of this very page, with its query."""
    return path_for(request, name, query=request.query_params.multi_items(), **params)


def page_number(request: Request) -> int:
    """Which page of a list, from 0. Raises :class:`Refused`."""
    return whole_number(request, "page", _MOST_PAGES)


def whole_number(request: Request, name: str, most: int) -> int:
    """A number from a query, 0 if it is not there. Raises :class:`Refused`."""
    given = request.query_params.get(name, "") or "0"
    if not (given.isascii() and given.isdigit() and len(given) <= 12 and int(given) <= most):
        raise Refused(400, f"{name}: must be a whole number from 0 to {most:,}", field=name)
    return int(given)


def pages_of(
    request: Request,
    total: int,
    page: int,
    per_page: int,
    name: str,
    query: Sequence[tuple[str, str]],
    **params: Any,
) -> Pages:
    """The pages beside this one; ``query`` is what a path to any of them says besides its number."""
    pages = Pages(total, page, per_page)

    def path(number: int) -> str:
        return path_for(request, name, query=[*query, ("page", str(number))], **params)

    last = max(0, -(-total // per_page) - 1)
    return pages._replace(
        previous=path(min(page - 1, last)) if pages.has_previous else None,
        next=path(page + 1) if pages.has_next else None,
    )


def text_of(form: FormData, name: str) -> str:
    """A field of a form, as text; empty if it is not there."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def texts_of(form: FormData, name: str) -> list[str]:
    """All values of a field."""
    return [value for value in form.getlist(name) if isinstance(value, str)]


def step_number(request: Request) -> int:
    """The step a path names. Raises :class:`Refused` for what is no number: there is no such step."""
    given = str(request.path_params["step_id"])
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise Refused(404, "There is no such step.")
    return int(given)
