"""Who did what by hand, to plans and to worlds."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.pages.asking import same_path
from dynflow_mp.console.pages.bulk_page import run_lines
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.rendering import path_for, render

_LONGEST = 200


def routes() -> list[Route]:
    """One page."""
    return [Route("/deeds", deeds, methods=["GET"], name="deeds")]


def deeds(request: Request) -> Response:
    """The latest first, a page at a time; of somebody, if a name is given."""
    by = request.query_params.get("by", "").strip()[:_LONGEST] or None
    before = request.query_params.get("before") or None
    per_page = request.state.settings.page_size
    # One more tells whether there are more.
    found = request.state.world.persistence.audits(by=by, before=before, most=per_page + 1)
    shown, has_more = found[:per_page], len(found) > per_page
    name = [("by", by)] if by else []
    values: dict[str, Any] = {
        "deeds": shown,
        "by": by,
        "runs": [] if by or before else run_lines(request),
        "older": path_for(request, "deeds", query=[*name, ("before", shown[-1].id)]) if has_more else None,
        "latest": path_for(request, "deeds", query=name) if before else None,
    }
    if is_part(request):
        return render(request, "deeds_live.html", **values)
    live = None if before else same_path(request, "deeds")
    return render(request, "deeds.html", **values, live=live)
