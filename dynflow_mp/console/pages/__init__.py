"""The pages: each module has ``routes()``, sync functions that Starlette calls in its threads."""

from __future__ import annotations

from starlette.routing import Route


def routes() -> list[Route]:
    """Those of every module."""
    return []
