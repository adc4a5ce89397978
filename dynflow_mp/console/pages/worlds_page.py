"""Who is here: executors with their queues and workers, clients; and what is done about them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.clock import monotonic
from dynflow_mp.console.deeds import Deeds, Outcome, deeds_of
from dynflow_mp.console.executors import reports_of
from dynflow_mp.console.pages.asking import same_path, text_of
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import path_for, render, see_other
from dynflow_mp.console.views.world_cards import Leases, WorldCard, world_card

_WAIT_S = 1.5
"""A page does not wait longer for executors that do not answer."""
_MOST_ASKED = 50
_MOST_CLIENTS = 200


class _Watch:
    """For how long leases stand still, for all pages of a console. Any thread may call it."""

    def __init__(self) -> None:
        self._leases, self._lock = Leases(), Lock()

    def look(self, records: list[Any]) -> dict[str, float | None]:
        with self._lock:
            return self._leases.look(records, monotonic())


def routes() -> list[Route]:
    """The page and its forms; what cannot be taken back is asked about first."""
    watch = _Watch()

    def show(request: Request) -> Response:
        return _page(request, watch)

    world = "/worlds/{world_id}"
    return [
        Route("/worlds", show, methods=["GET"], name="worlds"),
        Route("/worlds/check", check, methods=["POST"], name="worlds_check"),
        Route(f"{world}/ping", ping, methods=["POST"], name="world_ping"),
        Route(f"{world}/check", check, methods=["POST"], name="world_check"),
        Route(f"{world}/drain", ask_drain, methods=["GET"], name="world_drain"),
        Route(f"{world}/drain", drain, methods=["POST"], name="world_drain_do"),
        Route(f"{world}/invalidate", ask_invalidate, methods=["GET"], name="world_invalidate"),
        Route(f"{world}/invalidate", invalidate, methods=["POST"], name="world_invalidate_do"),
    ]


def _page(request: Request, watch: _Watch) -> Response:
    world = request.state.world
    records = world.coordinator.find_worlds()
    silent = watch.look(records)
    executors = [record for record in records if record.executor]
    clients = [record for record in records if not record.executor]
    asked = [record.id for record in executors if str(record.state) != "dead"][:_MOST_ASKED]
    reports = reports_of(world, asked, _WAIT_S)
    values: dict[str, Any] = {
        "executors": [_executor(one, world.id, silent.get(one.id), reports) for one in executors],
        "clients": [world_card(one, world.id, silent.get(one.id)) for one in clients[:_MOST_CLIENTS]],
        "clients_left": max(0, len(clients) - _MOST_CLIENTS),
    }
    if is_part(request):
        return render(request, "worlds_live.html", **values)
    return render(
        request,
        "worlds.html",
        **values,
        live=same_path(request, "worlds"),
        feed=path_for(request, "live_worlds"),
    )


def _executor(record: Any, own_id: str, silent_s: float | None, reports: dict[str, Any]) -> WorldCard:
    report = reports.get(record.id)
    silence = ""
    if report is None and record.id in reports:
        silence = f"It has not answered within {_WAIT_S:g} s when it was asked about its workers."
    elif report is None:
        silence = "It was not asked about its workers."
    return world_card(record, own_id, silent_s, report, silence)


def ping(request: Request) -> Response:
    """Whether it answers."""
    return _told(request, lambda deeds, world_id: deeds.ping(world_id))


def check(request: Request) -> Response:
    """Look whether processes are gone, and take over what those had."""
    return _told(request, lambda deeds, world_id: deeds.check_validity(world_id))


def ask_drain(request: Request) -> Response:
    """Whether that is really meant."""
    return _drain_page(request)


def drain(request: Request) -> Response:
    """Have an executor end."""
    if _typed(request):
        return _told(request, lambda deeds, world_id: deeds.drain(world_id))
    return _drain_page(request, "That is not what was to be typed; nothing was done.")


def ask_invalidate(request: Request) -> Response:
    """Whether that is really meant."""
    return _invalidate_page(request)


def invalidate(request: Request) -> Response:
    """Declare a world dead."""
    if _typed(request):
        return _told(request, lambda deeds, world_id: deeds.invalidate(world_id))
    return _invalidate_page(request, "That is not what was to be typed; nothing was done.")


def _drain_page(request: Request, wrong: str = "") -> Response:
    return _ask(
        request,
        "Drain this executor?",
        [
            "It takes nothing new, lets what it runs end within its grace period, gives back what has not, and its process "
            "ends as on SIGTERM. Whatever starts it again (a service manager, say) has to do so by itself."
        ],
        "Drain it",
        "world_drain_do",
        wrong,
    )


def _invalidate_page(request: Request, wrong: str = "") -> Response:
    return _ask(
        request,
        "Invalidate this world?",
        [
            "It is declared dead for ever and its plans are taken over. If it lives it writes nothing any more and ends "
            "itself; steps that it was running are counted as failed.",
            "Do this for a world whose process is known to be gone and that is not taken over by itself.",
        ],
        "Invalidate it",
        "world_invalidate_do",
        wrong,
    )


def _ask(
    request: Request, question: str, sentences: list[str], label: str, action: str, wrong: str
) -> Response:
    world_id = request.path_params["world_id"]
    records = request.state.world.coordinator.find_worlds(id=world_id)
    if not records:
        raise Refused(404, "No world of this id is registered.")
    return render(
        request,
        "confirm.html",
        status_code=400 if wrong else 200,
        section="worlds",
        question=question,
        sentences=[f"World {world_id}, {records[0].state}.", *sentences],
        typed=_word(world_id),
        wrong=wrong,
        label=label,
        action=path_for(request, action, world_id=world_id),
        back=path_for(request, "worlds"),
    )


def _word(world_id: str) -> str:
    return world_id[:8]


def _typed(request: Request) -> bool:
    return text_of(request.state.form, "typed").strip() == _word(request.path_params["world_id"])


def _told(request: Request, do: Callable[[Deeds, str], Outcome]) -> Response:
    world_id = request.path_params.get("world_id", "")
    sentence = do(deeds_of(request), world_id).sentence
    notice = f"World {world_id[:8]}: {sentence}" if world_id else sentence
    return see_other(request, "worlds", notice=notice)
