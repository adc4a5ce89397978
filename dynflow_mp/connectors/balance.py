"""Which executor gets a request that any of them may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from dynflow_mp.connectors.connector import Executor
from dynflow_mp.model.messages import Done, Envelope, Execution, Failed
from dynflow_mp.model.policies import DEFAULT_QUEUE

_FEW = 64
"""Executors long gone whose turns may be remembered."""


class _Load(NamedTuple):
    """A queue of one executor, as far as our own requests fill it."""

    world_id: str
    queue: str


class Balance:
    """Chooses by free slots as last advertised, minus what we sent and is not answered; ties take turns."""

    def __init__(self) -> None:
        self._requests: dict[str, _Load] = {}
        self._outstanding: Counter[_Load] = Counter()
        self._last_turn: dict[str, int] = {}
        self._turn = 0

    @property
    def outstanding(self) -> int:
        """How many requests were sent and are not answered for good."""
        return len(self._requests)

    def choose(self, executors: Sequence[Executor], queue: str = DEFAULT_QUEUE) -> Executor | None:
        """The executor with most room for ``queue``, among equals the one whose turn is longest ago."""
        if not executors:
            return None
        chosen = max(executors, key=lambda executor: self._preference(executor, queue))
        self._turn += 1
        self._last_turn[chosen.world_id] = self._turn
        if len(self._last_turn) > 2 * len(executors) + _FEW:
            self._forget_turns_but_of(executors)
        return chosen

    def _preference(self, executor: Executor, queue: str) -> tuple[int, int]:
        load = _load(executor, queue)
        room = executor.free.get(load.queue, 0) - self._outstanding[load]
        return room, -self._last_turn.get(executor.world_id, 0)

    def _forget_turns_but_of(self, executors: Sequence[Executor]) -> None:
        here = {executor.world_id for executor in executors}
        self._last_turn = {key: turn for key, turn in self._last_turn.items() if key in here}

    def sent(self, envelope: Envelope, executor: Executor) -> None:
        """This request is on its way to that executor and counts there until it is answered."""
        message = envelope.message
        if not isinstance(message, Execution):
            return
        self.settled(envelope.request_id)
        load = _load(executor, message.queue)
        self._requests[envelope.request_id] = load
        self._outstanding[load] += 1

    def answered(self, envelope: Envelope) -> None:
        """A response came; one that ends its request frees the executor."""
        if isinstance(envelope.message, (Done, Failed)):
            self.settled(envelope.request_id)

    def settled(self, request_id: str) -> None:
        """This request occupies no executor any more."""
        load = self._requests.pop(request_id, None)
        if load is None:
            return
        self._outstanding[load] -= 1
        if not self._outstanding[load]:
            del self._outstanding[load]


def _load(executor: Executor, queue: str) -> _Load:
    """What a request for ``queue`` fills there: an executor without that queue runs it in its default one."""
    return _Load(executor.world_id, queue if queue in executor.free else DEFAULT_QUEUE)
