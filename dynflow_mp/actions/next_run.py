"""Handing a call of ``run`` on, from a ready-made action to the class behind it."""

from __future__ import annotations

from typing import Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.event_parameter import takes_event
from dynflow_mp.errors import StepError
from dynflow_mp.model.policies import RescueStrategy


def next_run(behind: Any, action: Action, event: Any) -> None:
    """Call the ``run`` of ``behind`` (a ``super()``), if there is one.

    Being skipped is no event that anyone has to know: a ``run`` that takes none is not called with it.
    """
    run = getattr(behind, "run", None)
    if run is None:
        if event is not None and event is not RescueStrategy.SKIP:
            raise unrecognized(action, event)
    elif event is None:
        run()
    elif takes_event(run):
        run(event)
    elif event is not RescueStrategy.SKIP:
        raise unrecognized(action, event)


def unrecognized(action: Action, event: Any) -> StepError:
    """The error of a step that was sent what it does not know."""
    return StepError(f"{type(action).__name__} does not know the event {event!r}")
