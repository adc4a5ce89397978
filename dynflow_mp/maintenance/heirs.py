"""Who goes on with plans that nobody runs any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynflow_mp.connectors.connector import Connector, Directory
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.model.messages import Envelope


class Heirs:
    """This world (``receive``, where it executes plans) or any executor. Any thread may call it."""

    def __init__(
        self,
        connector: Connector,
        directory: Directory,
        receive: Callable[[Envelope], None] | None,
        offer: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self._connector, self._directory = connector, directory
        self._receive, self._offer = receive, offer

    def go_on(self, request: Envelope) -> None:
        """A plan was taken over: run it here; a client world, and an embedded one, leaves it to executors."""
        if self._receive is None:
            self._connector.send(request)
        elif not self.leaves_it_to_others():
            self._receive(request)

    def ask_any(self, request: Envelope) -> None:
        """Nobody has taken a requested plan: ask for it."""
        if not self.leaves_it_to_others():
            self._connector.send(request)

    def take(self, request: Envelope) -> None:
        """Nobody has taken it although it was asked for: run it here."""
        if self._receive is not None and not self.leaves_it_to_others():
            self._receive(request)

    def offer(self, plan_ids: Sequence[str]) -> None:
        """Nobody has taken these plans, which were never begun: some are for this world, if it has room."""
        if self._offer is not None and not self.leaves_it_to_others():
            self._offer(plan_ids)

    def leaves_it_to_others(self) -> bool:
        """An embedded world may lack the actions of others' plans: it takes them only if nobody else is there."""
        return isinstance(self._connector, DirectConnector) and bool(self._directory.executors())
