"""Events that the engine and the ready-made actions send, told apart from anything a user may send.

They travel as a type of their own (:mod:`dynflow_mp.model.codec`), so that a user's text "cancel" is no
:data:`CANCEL`. The event of a step that is being skipped is :attr:`RescueStrategy.SKIP
<dynflow_mp.model.policies.RescueStrategy>` itself.
"""

from __future__ import annotations

from enum import Enum


class Signal(str, Enum):
    """One of the events that have a meaning of their own; compare with ``is`` or ``==``."""

    CANCEL = "cancel"
    """Stop what you wait for, in good order."""
    ABORT = "abort"
    """Stop what you wait for, at once."""
    POLL = "poll"
    """Look how the external task is getting on."""
    TIMEOUT = "timeout"
    """The time that was set is over."""
    SUB_PLANS = "sub_plans"
    """Something has become of sub-plans: look at their counts."""

    NEXT_BATCH = "next_batch"
    """More sub-plans are to be made: go on with it."""

    __str__ = str.__str__


Abort, Cancel, Poll, Timeout = Signal.ABORT, Signal.CANCEL, Signal.POLL, Signal.TIMEOUT
