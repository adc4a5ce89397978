"""Who holds which lock."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.pages.asking import page_number, pages_of, same_path
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.rendering import render
from dynflow_mp.console.views.lock_lines import lock_lines
from dynflow_mp.console.views.paging import one_page

_MOST_FOLLOWED = 1_000
"""A page of more locks is not looked up again and again."""


def routes() -> list[Route]:
    """One page."""
    return [Route("/locks", locks, methods=["GET"], name="locks")]


def locks(request: Request) -> Response:
    """All locks, a page at a time."""
    coordinator = request.state.world.coordinator
    found = coordinator.find_locks()
    page, per_page = page_number(request), request.state.settings.page_size
    world_ids = [world.id for world in coordinator.find_worlds()]
    values: dict[str, Any] = {
        "locks": lock_lines(one_page(found, page, per_page), world_ids),
        "pages": pages_of(request, len(found), page, per_page, "locks", ()),
    }
    if is_part(request):
        return render(request, "locks_live.html", **values)
    live = same_path(request, "locks") if len(found) <= _MOST_FOLLOWED else None
    return render(request, "locks.html", **values, live=live)
