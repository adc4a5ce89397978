"""Failures: failed steps by what their errors have in common, and the plans behind each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from starlette.requests import Request

from dynflow_mp.console.api.query_parameters import PLAN_QUERY
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.api.shapes import Page, PerPage, Time
from dynflow_mp.console.refusals import Refused
from dynflow_mp.reading.concealment import shown_text
from dynflow_mp.reading.plan_query import PlanQuery

routes = router("failures")
_MOST = 200


class Failure(BaseModel):
    """Steps whose errors are alike; some of the plans, newest first, of ``plan_count``."""

    key: str
    exception_class: str
    message: str
    action_classes: list[str]
    plan_count: int
    step_count: int
    first_at: Time | None
    last_at: Time | None
    plan_ids: list[str]


class Failures(BaseModel):
    """Those that concern most plans first; ``cut``: there are more than are here, or were looked at."""

    failures: list[Failure]
    cut: bool


class FailedPlans(BaseModel):
    """A page of the plans behind a failure, newest first."""

    plan_ids: list[str]
    total: int
    page: int
    per_page: int


@routes.get("/failures", response_model=Failures, openapi_extra={"parameters": PLAN_QUERY})
def list_failures(request: Request) -> Any:
    """Failed steps by what their errors have in common, of all plans or of those in a list."""
    query = PlanQuery.from_params(request.query_params.multi_items())
    found = request.state.world.persistence.failure_groups(query if query.filters() else None, _MOST)
    return {
        "failures": [
            {
                **{name: getattr(group, name) for name in Failure.model_fields},
                "message": shown_text(group.message),
            }
            for group in found
        ],
        "cut": found.cut,
    }


@routes.get("/failures/plans", response_model=FailedPlans)
def plans_of(
    request: Request,
    key: Annotated[str, Query(min_length=1, max_length=5_000)],
    page: Page = 0,
    per_page: PerPage = 200,
) -> Any:
    """The plans behind one of them; its key is not a part of the path, since it may hold anything."""
    ids = request.state.world.persistence.plans_of_failure(key)
    if not ids:
        raise Refused(404, "No plan has failed that way, or not any more.")
    part = ids[page * per_page : (page + 1) * per_page]
    return {"plan_ids": part, "total": len(ids), "page": page, "per_page": per_page}
