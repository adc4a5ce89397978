"""Actions and errors as anybody may see them: whoever shows a plan to people shows these.

``action.input`` and ``error.message`` are the data itself, for programs. A command line, a page or a log takes what
is here instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.redaction import redacted, secrets_in, without


class Shown(NamedTuple):
    """What of an action may be shown."""

    input: Any
    output: Any


def shown(action: Action) -> Shown:
    """Its input and output, with ``***`` under telling keys and where its class says (``sensitive``)."""
    sensitive = type(action).sensitive
    return Shown(redacted(action.input, sensitive), redacted(action.output, sensitive))


def shown_error(error: RecordedError, action: Action | None = None) -> RecordedError:
    """An error whose texts do not repeat what :func:`shown` hides of its action."""
    secrets = frozenset() if action is None else secrets_of(action)
    died = error.certificate
    return error._replace(
        message=without(error.message, secrets),
        backtrace=tuple(without(line, secrets) for line in error.backtrace),
        certificate=None
        if died is None
        else died._replace(
            sentence=without(died.sentence, secrets),
            stack=tuple(without(line, secrets) for line in died.stack),
            output=without(died.output, secrets),
        ),
    )


def shown_text(text: str, action: Action | None = None) -> str:
    """Text that an action's step has left (what it printed, say), without what is hidden of it."""
    return without(text, frozenset() if action is None else secrets_of(action))


def secrets_of(action: Action) -> frozenset[str]:
    """The texts in an action's input and output that are not to be shown."""
    sensitive = type(action).sensitive
    return secrets_in(action.input, sensitive) | secrets_in(action.output, sensitive)
