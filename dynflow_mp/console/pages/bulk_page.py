"""Something is done with many plans: first said what it would be, then done, with its progress to be seen and stopped.

list, failure ─▶ POST /bulk/confirm (nothing is done yet) ─▶ POST /bulk/run ─▶ GET /bulk/{run} ─▶ POST …/stop
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.bulk_runs import ENOUGH_OF_THE_SAME, MOST_OF_THE_SAME
from dynflow_mp.console.pages.asking import text_of, texts_of
from dynflow_mp.console.parts import NO_MORE, is_part
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import path_for, render, see_other
from dynflow_mp.console.views.plan_columns import in_words
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.plan_query import PlanQuery

_MOST_CHOSEN = 500
_MORE, _FEW_MORE = 1.5, 10
"""While somebody reads how many there are, some more may come to match; far more are told of first."""


class BulkDeed(NamedTuple):
    """One of the things that are done with many plans, in words."""

    name: str
    title: str
    done: str
    grave: bool = False
    may_stop: bool = False


DEEDS = {
    deed.name: deed
    for deed in (
        BulkDeed("resume", "Resume", "resumed", may_stop=True),
        BulkDeed(
            "skip_and_resume", "Skip what failed and resume", "resumed without what failed", may_stop=True
        ),
        BulkDeed("cancel", "Cancel", "cancelled"),
        BulkDeed("halt", "Halt", "halted", grave=True),
    )
}


class RunLine(NamedTuple):
    """One run, in a list of them."""

    id: str
    title: str
    by: str
    progress: Any
    ended: bool


class Chosen(NamedTuple):
    """Which plans: these, or all that a query or a failure stands for."""

    plan_ids: tuple[str, ...] = ()
    query: PlanQuery | None = None
    failure: str = ""

    @property
    def all(self) -> bool:
        return not self.plan_ids


def routes() -> list[Route]:
    """Confirmation, beginning, progress, end."""
    return [
        Route("/bulk/confirm", confirm, methods=["POST"], name="bulk_confirm"),
        Route("/bulk/run", run, methods=["POST"], name="bulk_run"),
        Route("/bulk/{run_id}", show, methods=["GET"], name="bulk"),
        Route("/bulk/{run_id}/stop", stop, methods=["POST"], name="bulk_stop"),
    ]


def confirm(request: Request) -> Response:
    """What it would be, and with how many; nothing is done."""
    deed, chosen = _deed(request), _chosen(request)
    return _confirm_page(request, deed, chosen, _preview(request, deed, chosen))


def run(request: Request) -> Response:
    """Begin, unless there are far more plans than were told of; what cannot be taken back only if its word was typed."""
    deed, chosen, form = _deed(request), _chosen(request), request.state.form
    preview = _preview(request, deed, chosen)
    if deed.grave and text_of(form, "typed").strip() != deed.name:
        wrong = "That is not what was to be typed; nothing was done."
        return _confirm_page(request, deed, chosen, preview, wrong)
    if preview.eligible > _told(request) * _MORE + _FEW_MORE:
        wrong = "There are many more of them by now; nothing was done. Look again."
        return _confirm_page(request, deed, chosen, preview, wrong)
    enough = _enough_of_the_same(request) if deed.may_stop else ENOUGH_OF_THE_SAME
    plans, by = _plans(request, chosen), request.state.user
    started = request.state.bulk_runs.start(deed.name, plans, by, enough)
    return see_other(request, "bulk", run_id=started.id)


def show(request: Request) -> Response:
    """How far a run is."""
    started = request.state.bulk_runs.find(request.path_params["run_id"])
    values: dict[str, Any] = {
        "run_id": started.id,
        "deed": DEEDS[started.deed],
        "by": started.by,
        "enough": started.stop_on_same_error,
        "progress": started.run.progress,
        "ended": started.ended,
    }
    if is_part(request):
        return render(request, "bulk_progress.html", status_code=NO_MORE if started.ended else 200, **values)
    return render(request, "bulk_run.html", **values)


def stop(request: Request) -> Response:
    """Begin no more of them."""
    started = request.state.bulk_runs.stop(request.path_params["run_id"], request.state.user)
    return see_other(request, "bulk", run_id=started.id, notice="Nothing more of it is begun.")


def run_lines(request: Request, *, at_work: bool = False) -> list[RunLine]:
    """The runs that were started in this console, newest first; ``at_work``: those that have not ended."""
    return [
        RunLine(run.id, DEEDS[run.deed].title, run.by, run.run.progress, run.ended)
        for run in request.state.bulk_runs.all()
        if not (at_work and run.ended)
    ]


def _preview(request: Request, deed: BulkDeed, chosen: Chosen) -> Any:
    return request.state.bulk_runs.preview(deed.name, _plans(request, chosen), request.state.user)


def _confirm_page(
    request: Request, deed: BulkDeed, chosen: Chosen, preview: Any, wrong: str = ""
) -> Response:
    form = request.state.form
    return render(
        request,
        "bulk_confirm.html",
        status_code=400 if wrong else 200,
        deed=deed,
        preview=preview,
        all=chosen.all,
        plan_ids=chosen.plan_ids,
        query_text=text_of(form, "query"),
        failure=chosen.failure,
        query_words=in_words(chosen.query) if chosen.all and chosen.query is not None else "",
        enough=ENOUGH_OF_THE_SAME,
        most_of_the_same=MOST_OF_THE_SAME,
        wrong=wrong,
        back=_back(request, chosen),
    )


def _told(request: Request) -> int:
    """Of how many plans the confirmation told."""
    given = text_of(request.state.form, "told")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0


def _enough_of_the_same(request: Request) -> int:
    """How often the same error may come back. Raises :class:`Refused`."""
    given = text_of(request.state.form, "stop_on_same_error").strip() or str(ENOUGH_OF_THE_SAME)
    if given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= MOST_OF_THE_SAME:
        return int(given)
    raise Refused(
        400,
        f"How many plans with the same error end it: a whole number from 1 to {MOST_OF_THE_SAME:,}.",
        field="stop_on_same_error",
    )


def _deed(request: Request) -> BulkDeed:
    found = DEEDS.get(text_of(request.state.form, "deed"))
    if found is None:
        raise Refused(400, f"deed: must be one of {', '.join(DEEDS)}", field="deed")
    return found


def _chosen(request: Request) -> Chosen:
    form = request.state.form
    failure = text_of(form, "failure")
    if text_of(form, "all") == "true":
        if failure:
            return Chosen(failure=failure)
        query = PlanQuery.from_params(parse_qsl(text_of(form, "query"), keep_blank_values=True))
        return Chosen(query=replace(query, page=0))
    ids = tuple(dict.fromkeys(plan_id_of(given) for given in texts_of(form, "plan_id")))
    if not ids:
        raise Refused(400, "No plan was chosen: tick the boxes of those that are meant, and try again.")
    if len(ids) > _MOST_CHOSEN:
        raise Refused(400, f"More than {_MOST_CHOSEN} plans: take all that match instead.", field="plan_id")
    return Chosen(ids, failure=failure)


def _plans(request: Request, chosen: Chosen) -> Any:
    """What the world's bulk takes."""
    if chosen.plan_ids:
        return list(chosen.plan_ids)
    if chosen.failure:
        return request.state.world.persistence.plans_of_failure(chosen.failure)
    return chosen.query


def _back(request: Request, chosen: Chosen) -> str:
    if chosen.failure:
        return path_for(request, "failure", key=chosen.failure)
    query = () if chosen.query is None else chosen.query.to_params()
    return path_for(request, "plans", query=query)
