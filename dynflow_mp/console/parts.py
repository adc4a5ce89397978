"""Pages that are open ask for what has changed of them: a part, which a script puts in its place."""

from __future__ import annotations

from starlette.requests import Request

NO_MORE = 286
"""The status of a part that changes no more: htmx takes it, and does not ask again by itself."""


def is_part(request: Request) -> bool:
    """Whether a script asks for what has changed of a page, not for all of it."""
    return request.headers.get("hx-request") == "true"
