"""What people did by hand, and who they were."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from starlette.requests import Request

from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import PerPage, Time

routes = router("audits")


class PastDeed(BaseModel):
    """One deed; without a ``plan_id`` it concerned no plan."""

    id: str
    time: Time
    deed: str
    by: str
    world_id: str
    plan_id: str | None


class PastDeeds(BaseModel):
    """The latest first; those before them begin ``before`` the id of the last one."""

    deeds: list[PastDeed]


@routes.get("/audits", response_model=PastDeeds)
def list_deeds(
    request: Request,
    plan_id: Annotated[str | None, Query(max_length=60)] = None,
    by: Annotated[str | None, Query(max_length=100)] = None,
    before: Annotated[str | None, Query(max_length=60)] = None,
    most: PerPage = 200,
) -> Any:
    """What was done by hand, to a plan or to anything, by somebody or by anybody."""
    found = request.state.world.persistence.audits(plan_id, by=by, before=before, most=most)
    return {"deeds": [deed._asdict() for deed in found]}
