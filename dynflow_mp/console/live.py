"""``/live/…``: pages that are open hear of changes as they come (server-sent events).

    GET /live/plans?state=…     event: plans    the page of the list is not as it was
    GET /live/plans/{plan_id}   event: plan     the plan has moved
    GET /live/worlds            event: worlds   worlds came, went, changed

Each begins with how things are, so that nothing is missed between a page and its feed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Hashable
from typing import Any, NamedTuple, cast

import anyio
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.feed import Change, Feed, Listener, Topic
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import PlanNotFound
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.plan_query import PlanQuery

_HEARTBEAT_S = 15.0
_SEND_S = 20.0
"""A browser that takes nothing for so long is gone."""
_AGAIN_MS = 2_000
_GRACE_S = 1.0
_LONGEST_S = 900.0
"""A browser then comes again by itself, and has to show once more who it is: it may have logged out since."""


class PlansTopic(NamedTuple):
    """A page of a list of plans."""

    query: PlanQuery

    @property
    def key(self) -> Hashable:
        return self.query

    def look(self, world: Any) -> tuple[object, Change]:
        """Its lines, without what passes by itself."""
        page = world.persistence.page_of_plans(self.query)
        lines = tuple(line._replace(duration_s=None) for line in page.plans)
        ids = [line.id for line in page.plans]
        return (page.total, lines), Change("plans", {"total": page.total, "plans": ids})


class PlanTopic(NamedTuple):
    """One plan."""

    plan_id: str

    @property
    def key(self) -> Hashable:
        return self.plan_id

    def look(self, world: Any) -> tuple[object, Change]:
        """Where it stands; one that was deleted stands nowhere."""
        pulse = world.persistence.pulses([self.plan_id]).get(self.plan_id)
        if pulse is None:
            return None, Change("plan", {"plan_id": self.plan_id, "state": None})
        told = {
            "plan_id": self.plan_id,
            "state": pulse.state,
            "result": pulse.result,
            "steps": dict(pulse.steps),
            "progress": pulse.progress,
        }
        return pulse, Change("plan", told)


class WorldsTopic(NamedTuple):
    """All worlds."""

    @property
    def key(self) -> Hashable:
        return "worlds"

    def look(self, world: Any) -> tuple[object, Change]:
        """What their records say; that a lease was renewed is no news."""
        records = world.coordinator.find_worlds()
        seen = tuple((one.id, one.executor, one.state, repr(sorted(one.meta.items()))) for one in records)
        return seen, Change("worlds", {"worlds": [one.id for one in records]})


def routes() -> list[Route]:
    """One for each topic."""
    return [
        Route("/live/plans", plans, methods=["GET"], name="live_plans"),
        Route("/live/plans/{plan_id}", plan, methods=["GET"], name="live_plan"),
        Route("/live/worlds", worlds, methods=["GET"], name="live_worlds"),
    ]


async def plans(request: Request) -> Response:
    """The list that the query describes."""
    return _listening(request, PlansTopic(PlanQuery.from_params(request.query_params.multi_items())))


async def plan(request: Request) -> Response:
    """One plan, if there is one."""
    plan_id = plan_id_of(request.path_params["plan_id"])
    found = await run_in_threadpool(request.state.world.persistence.find_statuses, {"id": plan_id})
    if plan_id not in found:
        raise refused_of(PlanNotFound(f"no plan {plan_id} is stored", plan_id))
    return _listening(request, PlanTopic(plan_id))


async def worlds(request: Request) -> Response:
    """All of them."""
    return _listening(request, WorldsTopic())


def _listening(request: Request, topic: Topic) -> Response:
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    feed: Feed = request.state.feed
    if feed.full:
        raise Refused(503, "Too many pages are open already.", {"Retry-After": "30"})
    listener = Listener(topic)
    return EventSourceResponse(
        _events(feed, listener),
        ping=int(_HEARTBEAT_S),
        send_timeout=_SEND_S,
        shutdown_event=cast(anyio.Event, _Ending(listener)),
        shutdown_grace_period=_GRACE_S,
    )


class _Ending:
    """What is set when the server is told to end: the stream then comes to its end, instead of being cut off."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def set(self) -> None:
        """It is told to."""
        self._listener.close()


async def _events(feed: Feed, listener: Listener) -> AsyncIterator[ServerSentEvent]:
    try:
        feed.join(listener)
        async for change in listener.changes(_LONGEST_S):
            yield ServerSentEvent(json.dumps(change.data), event=change.name, retry=_AGAIN_MS)
    except Refused:
        return  # it ended between the answer's beginning and now
    finally:
        feed.leave(listener)
