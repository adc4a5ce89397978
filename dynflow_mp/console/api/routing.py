"""How the API answers when something is wrong: as all of the console does, never with a trace."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.refusals import Refused, refusal
from dynflow_mp.errors import DynflowError
from dynflow_mp.telemetry import logger

log = logger("console.api")

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class QuietRoute(APIRoute):
    """A route whose errors are answers. Starlette would send its own words for what it does not know, first."""

    def get_route_handler(self) -> _Handler:
        """The handler, and what it raises as an answer."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                return refusal(request.scope, refused_by(error))

        return answered


def refused_by(error: Exception) -> Refused:
    """What is answered for an error."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, RequestValidationError):
        return _not_valid(error)
    if isinstance(error, DynflowError):
        return refused_of(error)
    if isinstance(error, HTTPException):
        return Refused(error.status_code, "", error.headers)
    log.error("a request broke the API", exc_info=error, extra={"action": "console_error"})
    return Refused(500)


def _not_valid(error: RequestValidationError) -> Refused:
    """Named is the field, and not what was in it: that may be a secret, or a megabyte."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])[:100] or str(first["loc"][0])
    return Refused(400, f"{field}: {first['msg']}", field=field)


def router(tag: str) -> APIRouter:
    """Where a group of routes is put."""
    return APIRouter(route_class=QuietRoute, tags=[tag])
