"""Open events in the order in which they were sent, by the step they are for: whoever takes them shall keep it."""

from __future__ import annotations

from itertools import takewhile

from dynflow_mp.dispatchers.open_requests import Tracked
from dynflow_mp.model.messages import Event

_Step = tuple[str, int]


class EventLines:
    """One line for each step that open events are for."""

    def __init__(self) -> None:
        self._lines: dict[_Step, dict[str, Tracked]] = {}

    def join(self, tracked: Tracked) -> None:
        """The event was sent after all others of its line."""
        self._lines.setdefault(_step(tracked), {})[tracked.request_id] = tracked

    def leave(self, tracked: Tracked) -> None:
        """The event has its answer."""
        step = _step(tracked)
        line = self._lines.get(step)
        if line is not None and line.pop(tracked.request_id, None) is not None and not line:
            del self._lines[step]

    def before(self, tracked: Tracked, world_id: str) -> list[Tracked]:
        """Those that must be sent to ``world_id`` before this one: it may not have heard of them.

        They were sent elsewhere, or came back, or this one is sent again and they have not been since.
        """
        line = self._lines.get(_step(tracked), {})
        if next(iter(line), None) == tracked.request_id:
            return []
        earlier = takewhile(lambda other: other is not tracked, line.values())
        return [
            other
            for other in earlier
            if other.receiver_id != world_id or other.bounced or _sent_before(other, tracked)
        ]


def _sent_before(other: Tracked, tracked: Tracked) -> bool:
    return tracked.sent_at is not None and (other.sent_at is None or other.sent_at <= tracked.sent_at)


def _step(tracked: Tracked) -> _Step:
    message = tracked.message
    assert isinstance(message, Event)
    return message.plan_id, message.step_id
