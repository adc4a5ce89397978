"""What the words on the other pages mean."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynflow_mp.console.rendering import render

_PLAN_STATES = (
    ("scheduled", "waits for its time, or for other plans"),
    ("planning", "its plan() runs"),
    ("planned", "all is laid out; it waits for an executor, or for somebody to run it"),
    ("running", "an executor has it"),
    ("paused", "a step failed and nothing else can go on: it waits for you"),
    ("stopped", "it has ended; its result tells how"),
)
_STEP_STATES = (
    ("pending", "has not begun, or is to be tried again"),
    ("running", "its code is at work in a worker"),
    ("suspended", "waits for an event, and keeps no worker"),
    ("success", "did what it was for"),
    ("error", "raised an error, or its worker died, or it took too long"),
    ("skipping", "is about to be skipped"),
    ("skipped", "was left out, by hand or by a rescue strategy"),
    ("cancelled", "was never begun, and never will be"),
)
_RESULTS = (
    ("pending", "steps are still to come"),
    ("success", "all steps succeeded"),
    ("warning", "all went well except for what was skipped"),
    ("error", "a step failed"),
    ("cancelled", "it was cancelled before it began"),
)
_DEEDS = (
    ("Resume", "failed steps are tried again, and the plan goes on"),
    ("Skip", "a failed step and all that needs its output are left out; resume afterwards"),
    ("Edit input", "change what a failed step is given, before it is tried again"),
    ("Cancel", "steps that can be cancelled are told to end in good order; what they do then is theirs"),
    ("Halt", "nothing more begins, what runs is stopped, the plan is over for good"),
    ("Send an event", "a suspended step is called again with what you send"),
)
_KEYS = (
    ("/", "search"),
    ("j k", "next row, row before"),
    ("Enter", "open the row"),
    ("x", "choose the row"),
    ("g p, g f, g w, g l, g d", "go to plans, failures, worlds, locks, deeds"),
    ("?", "this page"),
)


def routes() -> list[Route]:
    """One page."""
    return [Route("/help", show_help, methods=["GET"], name="help")]


def show_help(request: Request) -> Response:
    """Words, and keys."""
    return render(
        request,
        "help.html",
        plan_states=_PLAN_STATES,
        step_states=_STEP_STATES,
        results=_RESULTS,
        deeds=_DEEDS,
        keys=_KEYS,
    )
