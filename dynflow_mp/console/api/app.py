"""Puts the API together: a FastAPI application that lives within the console's."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dynflow_mp import __version__
from dynflow_mp.console.api import audits, bulk, chunks, deeds, failures, pictures, plans, worlds
from dynflow_mp.console.api.routing import refused_by
from dynflow_mp.console.api.shapes import Problem
from dynflow_mp.console.refusals import refusal

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "What was sent cannot be meant; `field` names what"},
    401: {"model": Problem, "description": "Nobody is known to ask"},
    403: {"model": Problem, "description": "From another site, or the console is for reading only"},
    404: {"model": Problem, "description": "There is no such thing"},
    409: {"model": Problem, "description": "Its state does not allow it; `state` tells which it is"},
    413: {"model": Problem, "description": "Too large"},
    415: {"model": Problem, "description": "Not JSON in UTF-8"},
    421: {"model": Problem, "description": "Asked under a name that is not this console's"},
    429: {"model": Problem, "description": "Too many wrong attempts"},
    503: {"model": Problem, "description": "It may be possible later: no executor, or no database"},
    504: {"model": Problem, "description": "No answer in time"},
}

_TOLD_TO_NOBODY: Any = dict.fromkeys(
    ("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False
)


def create_api() -> FastAPI:
    """The API. Who may use it, and for what, is the console's matter."""
    api = FastAPI(
        title="dynflow_mp console",
        version=__version__,
        description="Everything the pages of the console do, for programs.",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        # It would name the host and the scheme as the proxy asked for them.
        redirect_slashes=False,
        responses=_PROBLEMS,
        exception_handlers={HTTPException: _refuse},
        # Newer versions hand what was sent to whatever OpenTelemetry the application around has, secrets and all.
        telemetry=_TOLD_TO_NOBODY,
    )
    for group in (plans, chunks, pictures, failures, deeds, bulk, worlds, audits):
        api.include_router(group.routes)
    api.openapi = _told_once(api)  # type: ignore[method-assign]
    return api


async def _refuse(request: Request, error: Exception) -> Response:
    return refusal(request.scope, refused_by(error))


def _told_once(api: FastAPI) -> Any:
    """Its OpenAPI without 422: what cannot be meant is 400 everywhere here."""
    plainly = api.openapi

    def told() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = plainly()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(name, None)
            api.openapi_schema = schema
        return api.openapi_schema

    return told
