"""Plans as pictures show them, and what they wait for: flow, timeline, waits, failures – in pages, for large ones."""

from __future__ import annotations

from starlette.requests import Request

from dynflow_mp.console.api.routing import router

routes = router("pictures")
