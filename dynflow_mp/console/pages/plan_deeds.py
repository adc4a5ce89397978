"""What is done with one plan: forms of its page, each answered by the page with a sentence about what it came to."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.deeds import Outcome, deeds_of
from dynflow_mp.console.pages.asking import text_of
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.rendering import path_for, render, see_other
from dynflow_mp.model.states import PlanState
from dynflow_mp.planning.ids import plan_id_of


def routes() -> list[Route]:
    """Forms are posted; what cannot be taken back is asked about first."""
    return [
        Route("/plans/{plan_id}/resume", resume, methods=["POST"], name="plan_resume"),
        Route(
            "/plans/{plan_id}/skip-and-resume", skip_and_resume, methods=["POST"], name="plan_skip_and_resume"
        ),
        Route("/plans/{plan_id}/cancel", cancel, methods=["POST"], name="plan_cancel"),
        Route("/plans/{plan_id}/halt", ask_halt, methods=["GET"], name="plan_halt"),
        Route("/plans/{plan_id}/halt", halt, methods=["POST"], name="plan_halt_do"),
    ]


def resume(request: Request) -> Response:
    """Run a plan that is paused, or was only planned."""
    return _told(request, deeds_of(request).resume(_plan_id(request)))


def skip_and_resume(request: Request) -> Response:
    """Skip all failed steps and go on."""
    return _told(request, deeds_of(request).skip_and_resume(_plan_id(request)))


def cancel(request: Request) -> Response:
    """Ask what runs to end in good order."""
    return _told(request, deeds_of(request).cancel(_plan_id(request)))


def ask_halt(request: Request) -> Response:
    """Whether that is really meant."""
    return _halt_page(request)


def halt(request: Request) -> Response:
    """Stop a plan for good; the word that was to be typed has to be there."""
    plan_id = _plan_id(request)
    if text_of(request.state.form, "typed").strip() != _word(plan_id):
        return _halt_page(request, "That is not what was to be typed; nothing was done.")
    return _told(request, deeds_of(request).halt(plan_id))


def _halt_page(request: Request, wrong: str = "") -> Response:
    plan = request.state.world.persistence.load_execution_plan(_plan_id(request))
    if plan.state == PlanState.STOPPED:
        raise Refused(409, "The plan is stopped already.", plan_id=plan.id, state=str(plan.state))
    return render(
        request,
        "confirm.html",
        status_code=400 if wrong else 200,
        section="plans",
        question="Halt this plan?",
        sentences=[
            f"{plan.label or plan.id}, which is {plan.state}.",
            "Nothing more of it begins, code that runs is stopped where it is, and the plan ends for good: it cannot be "
            "resumed. Cancel instead lets steps that can end in good order.",
        ],
        typed=_word(plan.id),
        wrong=wrong,
        label="Halt it",
        action=path_for(request, "plan_halt_do", plan_id=plan.id),
        back=path_for(request, "plan", plan_id=plan.id),
    )


def _word(plan_id: str) -> str:
    """The end of its id: short, and another one for another plan."""
    return plan_id[-8:]


def _plan_id(request: Request) -> str:
    return plan_id_of(request.path_params["plan_id"])


def _told(request: Request, outcome: Outcome) -> Response:
    return see_other(request, "plan", plan_id=_plan_id(request), notice=outcome.sentence)
