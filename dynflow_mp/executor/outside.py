"""What leaves the core for the world around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynflow_mp.director.instructions import EndSubPlans, SendEvent
from dynflow_mp.errors import WorldFenced
from dynflow_mp.model.messages import Envelope


class Outside(NamedTuple):
    """Called on the core's thread; each of them leaves a note with whoever does the rest."""

    send: Callable[[Envelope], None]
    """An answer to another world, or a request in a client's name."""
    send_event: Callable[[SendEvent], None]
    """An action's event for a step of another plan."""
    end_sub_plans: Callable[[EndSubPlans], None] = lambda order: None
    """Sub-plans are to end with what triggered them."""
    plan_stopped: Callable[[], None] = lambda: None
    """A plan has stopped, for which others may have waited."""
    hooks_noted: Callable[[], None] = lambda: None
    """Hooks are to be called."""
    condition_changed: Callable[[], None] = lambda: None
    """This executor is degraded, or is so no more."""
    fenced: Callable[[WorldFenced], None] = lambda error: None
    """Another world has declared this one dead."""
