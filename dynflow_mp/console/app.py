"""Puts the console together.

create_app(world) ─▶ Starlette: security/ ─▶ pages │ /api │ /live │ /metrics │ /healthz │ /readyz │ /static
"""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from dynflow_mp.console import health, live, login, metrics, pages
from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.api.app import create_api
from dynflow_mp.console.bulk_runs import BulkRuns
from dynflow_mp.console.feed import Feed
from dynflow_mp.console.refusals import Refused, refusal
from dynflow_mp.console.security.attempts import Attempts
from dynflow_mp.console.security.authentication import Authentication
from dynflow_mp.console.security.body_limit import BodyLimit
from dynflow_mp.console.security.csrf import CrossSiteCheck
from dynflow_mp.console.security.entrance import Entrance
from dynflow_mp.console.security.hosts import HostCheck
from dynflow_mp.console.settings import ConsoleSettings
from dynflow_mp.errors import DynflowError


def create_app(world: Any, settings: ConsoleSettings | None = None) -> Starlette:
    """The console of ``world``, an ASGI application to be served or mounted under any prefix.

    ``world`` may be a client or an embedded one, and stays its owner's to terminate. Raises :class:`ConfigError`
    for settings that are not safe.
    """
    settings = settings or ConsoleSettings()
    attempts = Attempts()
    feed = Feed(world, settings.feed_interval_s, settings.max_listeners)
    world.before_termination(feed.close)
    noted = {"world": world, "settings": settings, "feed": feed, "bulk_runs": BulkRuns(world)}
    routes: list[BaseRoute] = [
        *health.routes(world),
        *metrics.routes(world),
        *live.routes(),
        *login.routes(attempts),
        *pages.routes(),
        Mount("/api", create_api(), name="api"),
        Mount("/static", StaticFiles(packages=[("dynflow_mp.console", "static")]), name="static"),
    ]
    middleware = [
        Middleware(Entrance, noted=noted),
        Middleware(HostCheck, settings=settings),
        Middleware(Authentication, settings=settings, attempts=attempts),
        Middleware(BodyLimit, settings=settings),
        Middleware(CrossSiteCheck, settings=settings),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: _refuse_http,
        Refused: _refuse,
        DynflowError: _refuse_ours,
    }
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
    # It would name the host and the scheme as the proxy asked for them.
    app.router.redirect_slashes = False
    app.state.feed = feed
    return app


def _refuse_http(request: Request, error: HTTPException) -> Response:
    """Starlette's own words are not for people."""
    return refusal(request.scope, Refused(error.status_code, "", error.headers))


def _refuse(request: Request, error: Refused) -> Response:
    return refusal(request.scope, error)


def _refuse_ours(request: Request, error: DynflowError) -> Response:
    return refusal(request.scope, refused_of(error))
