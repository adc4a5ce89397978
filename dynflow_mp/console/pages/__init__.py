"""The pages: each module has ``routes()``, sync functions that Starlette calls in its threads."""

from __future__ import annotations

from starlette.routing import Route

from dynflow_mp.console.pages import (
    bulk_page,
    deeds_page,
    failures_page,
    help_page,
    locks_page,
    plan_deeds,
    plan_page,
    plans_page,
    step_page,
    worlds_page,
)


def routes() -> list[Route]:
    """Those of every module."""
    modules = (
        *(plans_page, bulk_page, plan_page, plan_deeds, step_page, worlds_page, locks_page),
        *(failures_page, deeds_page, help_page),
    )
    return [route for module in modules for route in module.routes()]
