"""What stimuli and instructions have in common: who asks, and the words that stand for what has no name of its own.

stimulus ──▶ Director.handle(stimulus, now) ──▶ instructions
"""

from __future__ import annotations

from typing import NamedTuple

FINALIZE = 0
"""Stands for the finalize phase where a step id is expected: it is one job, not one step."""

NOBODY = ""
"""The client id of those for whom an answer is for nobody."""

UNATTENDED = "unattended-"
"""Begins the ids of requests whose answer nobody waits for: who asks for the same plan and does wait is
not refused because of them."""


def attended(request_id: str | None) -> bool:
    """Whether someone waits for the answer to this request."""
    return request_id is None or not request_id.startswith(UNATTENDED)


class Asker(NamedTuple):
    """Who is to be told when this attempt at a plan ended."""

    client_id: str
    request_id: str

    @property
    def waits(self) -> bool:
        """Whether the answer is for anyone."""
        return attended(self.request_id)
