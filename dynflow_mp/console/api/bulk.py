"""The same deed for many plans: what it would be, begun, watched, stopped."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue
from starlette.requests import Request

from dynflow_mp.console.api import shapes
from dynflow_mp.console.api.routing import router
from dynflow_mp.console.bulk_runs import BulkRuns, StartedRun
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.refusals import Refused
from dynflow_mp.reading.plan_query import PlanQuery

routes = router("bulk")
Facts = dict[str, JsonValue]


@routes.post("/bulk-preview")
def preview(request: Request, wanted: shapes.Bulk) -> Facts:
    """How many plans it would concern, and why not others. Nothing is done."""
    found = _runs(request).preview(wanted.deed, _plans(wanted), request.state.user)
    return _plain(found)


@routes.post("/bulk", status_code=202)
def start(request: Request, wanted: shapes.Bulk) -> Facts:
    """Begin. It ends by itself when ``stop_on_same_error`` plans have come back with the same error."""
    runs, by = _runs(request), request.state.user
    return _told(runs.start(wanted.deed, _plans(wanted), by, wanted.stop_on_same_error))


@routes.get("/bulk")
def list_runs(request: Request) -> list[Facts]:
    """The last runs of this console, newest first."""
    return [_told(run) for run in _runs(request).all()]


@routes.get("/bulk/{run_id}")
def one_run(run_id: str, request: Request) -> Facts:
    """How far it is."""
    return _told(_runs(request).find(run_id))


@routes.post("/bulk/{run_id}/stop")
def stop(run_id: str, request: Request) -> Facts:
    """Begin nothing more of it."""
    return _told(_runs(request).stop(run_id, request.state.user))


def _runs(request: Request) -> BulkRuns:
    runs: BulkRuns = request.state.bulk_runs
    return runs


def _plans(wanted: shapes.Bulk) -> list[str] | PlanQuery:
    if wanted.plan_ids is not None and wanted.query is None:
        return wanted.plan_ids
    if wanted.query is not None and wanted.plan_ids is None:
        return PlanQuery.from_params((name, text) for name, text in wanted.query)
    raise Refused(400, "Either plan_ids or query says which plans are meant.", field="plan_ids")


def _told(started: StartedRun) -> Facts:
    return {
        "id": started.id,
        "deed": started.deed,
        "by": started.by,
        "ended": started.ended,
        "stop_on_same_error": started.stop_on_same_error,
        **_plain(started.run.progress),
    }


def _plain(value: Any) -> Facts:
    found: Facts = plain(value._asdict())
    return found
