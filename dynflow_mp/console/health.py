"""``/healthz``: this process answers. ``/readyz``: the database does, and there is an executor that takes plans."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynflow_mp.console.cached import Cached
from dynflow_mp.errors import DynflowError

_GOOD_FOR_S = 1.0
_PATIENCE_S = 3.0
Facts = dict[str, Any]


def routes(world: Any) -> list[Route]:
    """Both, open to everybody: they say nothing of any plan."""
    readiness = Cached(lambda: _looked_up(world), _GOOD_FOR_S, _PATIENCE_S)

    async def ready(request: Request) -> Response:
        facts = None
        with anyio.move_on_after(_PATIENCE_S):
            facts = await anyio.to_thread.run_sync(readiness.get, abandon_on_cancel=True)
        facts = facts or {"database": "no answer", "executors": 0}
        is_ready = facts["database"] == "ok" and facts["executors"] > 0
        body = {"status": "ready" if is_ready else "not ready", **facts}
        return JSONResponse(body, 200 if is_ready else 503)

    return [
        Route("/healthz", healthy, methods=["GET"], name="healthz"),
        Route("/readyz", ready, methods=["GET"], name="readyz"),
    ]


async def healthy(request: Request) -> Response:
    """Answered by the event loop itself: it turns."""
    return JSONResponse({"status": "ok"})


def _looked_up(world: Any) -> Facts:
    """Why the database does not answer is for the log of whoever runs it, not for whoever asks."""
    if world.terminating:
        return {"database": "ending", "executors": 0}
    try:
        executors = world.coordinator.find_worlds(active_executors_only=True)
    except DynflowError:
        return {"database": "no answer", "executors": 0}
    return {"database": "ok", "executors": sum(one.degraded is None for one in executors)}
