"""Actions of which one at a time is enough."""

from __future__ import annotations

from dynflow_mp.actions.action import Action


class Singleton(Action, abstract=True):
    """At most one plan with an action of the class is active: ``class Nightly(Singleton)``. Each derived class is one of its own.

    A second plan is stored as one that could not be planned, "Action Nightly is already active". A plan holds its
    place until it stops or pauses; one that is resumed while another has taken it fails in that action's first step.
    """
