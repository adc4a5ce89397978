"""Worlds and locks: read, asked, ended."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from dynflow_mp.console.api import shapes
from dynflow_mp.console.api.deeds import ANSWERS, answer
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, WorldId
from dynflow_mp.console.deeds import deeds_of
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.refusals import Refused
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.reading.lock_shape import lock_shape
from dynflow_mp.redaction import redacted

routes = router("worlds")


@routes.get("/worlds", response_model=shapes.Worlds)
def list_worlds(request: Request) -> Any:
    """All worlds that are registered; ``own`` is the console's own."""
    world = request.state.world
    return {"worlds": [_facts(record) for record in world.coordinator.find_worlds()], "own": world.id}


@routes.post("/validity-check", response_model=None, responses=ANSWERS)
def check(request: Request) -> Response:
    """Look at every world's process, and invalidate those whose is gone."""
    return answer(deeds_of(request).check_validity())


@routes.get("/worlds/{world_id}", response_model=shapes.World)
def one_world(world_id: WorldId, request: Request) -> Any:
    """One of them."""
    for record in request.state.world.coordinator.find_worlds(id=world_id):
        return _facts(record)
    raise Refused(404, "No world of this id is registered.")


@routes.get("/worlds/{world_id}/workers")
def workers(world_id: WorldId, request: Request) -> dict[str, JsonValue]:
    """An executor's report: its queues, and what each of its workers is at."""
    told = deeds_of(request).workers(world_id)
    found: dict[str, JsonValue] = plain(
        {
            **told._asdict(),
            "queues": [queue._asdict() for queue in told.queues],
            "workers": [worker._asdict() for worker in told.workers],
        }
    )
    return found


@routes.get("/worlds/{world_id}/status")
def status(world_id: WorldId, request: Request) -> dict[str, dict[str, int]]:
    """How busy an executor is, per queue."""
    found = deeds_of(request).execution_status(world_id)
    return {name: dict(numbers) for name, numbers in found.items()}


@routes.post("/worlds/{world_id}/ping", response_model=None, responses=ANSWERS)
def ping(world_id: WorldId, request: Request) -> Response:
    """Whether it answers."""
    return answer(deeds_of(request).ping(world_id))


@routes.post("/worlds/{world_id}/drain", response_model=None, responses=ANSWERS)
def drain(world_id: WorldId, request: Request) -> Response:
    """Have a supervisor end, once what it runs has ended."""
    return answer(deeds_of(request).drain(world_id))


@routes.post("/worlds/{world_id}/invalidate", response_model=None, responses=ANSWERS)
def invalidate(world_id: WorldId, request: Request) -> Response:
    """Declare a world dead and take its plans over."""
    return answer(deeds_of(request).invalidate(world_id))


@routes.get("/locks", response_model=shapes.Locks)
def list_locks(request: Request, page: Page = 0, per_page: PerPage = 200) -> Any:
    """Who holds what."""
    held = request.state.world.coordinator.find_locks()
    part = held[page * per_page : (page + 1) * per_page]
    return {
        "locks": [lock_shape(lock) for lock in part],
        "total": len(held),
        "page": page,
        "per_page": per_page,
    }


def _facts(record: WorldRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "executor": record.executor,
        "state": str(record.state),
        "degraded": record.degraded,
        "meta": plain(redacted(dict(record.meta))),
    }
