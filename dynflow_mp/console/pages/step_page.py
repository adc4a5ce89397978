"""One step: what went in and came out, why it failed, how it ended, what it waits for; and what is done about it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.deeds import deeds_of
from dynflow_mp.console.pages.asking import now, same_path, step_number, text_of
from dynflow_mp.console.pages.plan_page import as_file, waits_of
from dynflow_mp.console.parts import NO_MORE, is_part
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import path_for, render, see_other
from dynflow_mp.console.views.data_text import data_text
from dynflow_mp.console.views.input_editing import BadEdit, editable_text, edited, parsed
from dynflow_mp.console.views.level_of_detail import ALL_UP_TO
from dynflow_mp.console.views.step_details import MOST_CHUNKS, chunks_text, error_trace, step_details
from dynflow_mp.console.views.wait_lines import waits_of_step
from dynflow_mp.errors import InvalidPlan
from dynflow_mp.model.states import Phase, PlanState
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.concealment import action_of, shown, shown_error

_MOST_ROWS = 40


def routes() -> list[Route]:
    """The page, its texts as files, its forms."""
    step = "/plans/{plan_id}/steps/{step_id}"
    return [
        Route(step, show, methods=["GET"], name="step"),
        Route(f"{step}/files/{{what}}.txt", as_text, methods=["GET"], name="step_file"),
        Route(f"{step}/skip", skip, methods=["POST"], name="step_skip"),
        Route(f"{step}/edit", ask_edit, methods=["GET"], name="step_edit"),
        Route(f"{step}/edit", edit, methods=["POST"], name="step_edit_do"),
        Route(f"{step}/event", event, methods=["POST"], name="step_event"),
    ]


def show(request: Request) -> Response:
    """Everything about it."""
    plan, step = _found(request)
    goes_on = plan.state != PlanState.STOPPED
    values: dict[str, Any] = {
        "plan_id": plan.id,
        "plan_label": plan.label,
        "step": step_details(plan, step, *_last_chunks(request, plan, step), now()),
        "waits": waits_of_step(waits_of(request, plan), step.id),
    }
    if is_part(request):
        return render(request, "step_live.html", status_code=200 if goes_on else NO_MORE, **values)
    return render(
        request,
        "step.html",
        **values,
        live=same_path(request, "step", plan_id=plan.id, step_id=step.id) if goes_on else None,
        feed=path_for(request, "live_plan", plan_id=plan.id) if goes_on else None,
        large=len(plan.steps) > ALL_UP_TO,
    )


def _last_chunks(request: Request, plan: Any, step: Any) -> tuple[list[Any], int]:
    """What it wrote last, and how many pieces there are."""
    if step.phase is not Phase.RUN:
        return [], 0
    found: tuple[list[Any], int] = request.state.world.persistence.page_of_chunks(
        plan.id, step.action_id, most=MOST_CHUNKS
    )
    return found


def as_text(request: Request) -> Response:
    """One of its texts, whole, as a file."""
    plan, step = _found(request)
    what = request.path_params["what"]
    action = action_of(plan, step.action_id)
    if what == "input":
        text = data_text(shown(action).input, whole=True)
    elif what == "output":
        text = data_text(shown(action).output, whole=True)
    elif what == "chunks":
        text = chunks_text(plan, step)
    elif what == "error" and step.error is not None:
        error = shown_error(step.error, action)
        text = f"{error.exception_class}: {error.message}\n\n{error_trace(error)}\n"
        text += f"\n{error.certificate}\n" if error.certificate is not None else ""
    else:
        raise Refused(404, "There is no such text of this step.")
    return as_file(text, f"plan-{plan.id}-step-{step.id}-{what}.txt")


def skip(request: Request) -> Response:
    """Skip it, with all steps that need its output."""
    plan_id, step_id = plan_id_of(request.path_params["plan_id"]), step_number(request)
    outcome = deeds_of(request).skip(plan_id, step_id)
    return see_other(request, "plan", plan_id=plan_id, notice=outcome.sentence)


def ask_edit(request: Request) -> Response:
    """Its input, to be edited."""
    plan, step = _found(request)
    return _edit_page(request, plan, step, editable_text(shown(action_of(plan, step.action_id)).input))


def edit(request: Request) -> Response:
    """Store what was changed."""
    plan, step = _found(request)
    action = action_of(plan, step.action_id)
    form, seen = request.state.form, shown(action).input
    text = text_of(form, "input")
    if text_of(form, "seen") != _print_of(editable_text(seen)):
        text = editable_text(seen)
        return _edit_page(
            request, plan, step, text, "It was changed meanwhile. This is what it is now; edit that."
        )
    try:
        change = edited(action.input, seen, text)
    except BadEdit as error:
        return _edit_page(request, plan, step, text, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    if change.empty:
        return _edit_page(request, plan, step, text, "Nothing was changed in it.")
    deeds = deeds_of(request)
    if change.removed:
        kept = {key: value for key, value in action.input.items() if key not in change.removed}
        outcome = deeds.edit_input(plan.id, step.id, {**kept, **change.changes}, replace=True)
    else:
        outcome = deeds.edit_input(plan.id, step.id, change.changes)
    notice = outcome.sentence
    if text_of(form, "then") == "resume":
        notice = f"{notice} {deeds.resume(plan.id).sentence}"
    return see_other(request, "step", plan_id=plan.id, step_id=step.id, notice=notice)


def event(request: Request) -> Response:
    """Wake it."""
    plan_id, step_id = plan_id_of(request.path_params["plan_id"]), step_number(request)
    form = request.state.form
    try:
        value = parsed(text_of(form, "event"))
    except BadEdit as error:
        raise Refused(400, f"The event cannot be sent: {error}.", field="event") from error
    optional = text_of(form, "optional") == "true"
    outcome = deeds_of(request).event(plan_id, step_id, value, optional=optional)
    return see_other(request, "step", plan_id=plan_id, step_id=step_id, notice=outcome.sentence)


def _edit_page(request: Request, plan: Any, step: Any, text: str, wrong: str = "") -> Response:
    return render(
        request,
        "step_edit.html",
        status_code=400 if wrong else 200,
        plan_id=plan.id,
        plan_label=plan.label,
        step_id=step.id,
        action=step.action_class,
        input=text,
        seen=_print_of(editable_text(shown(action_of(plan, step.action_id)).input)),
        rows=min(_MOST_ROWS, max(8, text.count("\n") + 2)),
        wrong=wrong,
    )


def _print_of(text: str) -> str:
    """Tells one text from another, without showing either."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _found(request: Request) -> tuple[Any, Any]:
    """The plan and the step. Raises :class:`Refused` where there is none, :class:`InvalidPlan` for a damaged plan."""
    plan = request.state.world.persistence.load_execution_plan(request.path_params["plan_id"])
    if not plan.valid:
        assert isinstance(plan.exception, InvalidPlan)
        raise plan.exception
    step = plan.steps.get(step_number(request))
    if step is None:
        raise Refused(404, "There is no such step in this plan.", plan_id=plan.id)
    return plan, step
