"""Cookies of the console: for its own path, not for scripts, never sent from elsewhere."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from dynflow_mp.console.places import prefix_of


def put_cookie(scope: Scope, response: Response, name: str, text: str | None, seconds: int) -> None:
    """Set a cookie for so many seconds; None takes it away."""
    path = prefix_of(scope) or "/"
    secure = scope["state"].get("console_scheme", scope["scheme"]) == "https"
    if text is None:
        response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="strict")
    else:
        response.set_cookie(
            name, text, max_age=seconds, path=path, secure=secure, httponly=True, samesite="strict"
        )
