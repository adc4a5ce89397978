"""What every connector promises: envelopes between worlds, each delivered once or reported back.

    dispatcher ── send(envelope) ──▶ connector ══ wire ══ connector ── receive(envelope) ──▶ dispatcher
         ▲                              │
         └── undeliverable(envelope, why)

A message is a hint, the database is the truth: a connector keeps order between two worlds and tells
what it knows it could not deliver, and whoever needs an answer asks again until there is one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.messages import Envelope


class Receiver(Protocol):
    """One world, as its connector sees it. The connector's thread calls; nothing here may block."""

    @property
    def world_id(self) -> str: ...

    @property
    def takes_work(self) -> bool:
        """Whether this is an executor that others may use."""

    def receive(self, envelope: Envelope) -> None:
        """An envelope for this world has come."""

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        """An envelope this world sent went nowhere; ``error`` says why."""


class Executor(NamedTuple):
    """An executor as the directory lists it: where it listens, and its free slots per queue."""

    world_id: str
    endpoint: str | None
    free: Mapping[str, int]
    key: str | None = None
    """Its public CURVE key, where it is reached over TCP."""


class Directory(Protocol):
    """Who is there. Asked on the connector's thread; may read the database and raise PersistenceError."""

    def executors(self) -> Sequence[Executor]:
        """Executors that are alive, can be reached from here and take this world's work."""

    def endpoint(self, world_id: str) -> str | None:
        """Where this world listens, whether it takes work or not; None if nowhere or not known."""

    def keys(self) -> Mapping[str, str]:
        """The public CURVE key of every living world that has one, by world id."""


class Connector(ABC):
    """Carries envelopes between worlds. All methods may be called from any thread."""

    @abstractmethod
    def start_listening(self, receiver: Receiver) -> None:
        """Begin to deliver to ``receiver``. Raises ConnectorError if it cannot listen."""

    @abstractmethod
    def stop_receiving_new_work(self, receiver: Receiver) -> None:
        """Send this world no more work of the kind any executor can do. What names it still comes."""

    @abstractmethod
    def stop_listening(self, receiver: Receiver) -> None:
        """Send what is still to be sent, then deliver nothing more."""

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Send without waiting. What fails comes back to the sender as ``undeliverable``."""

    def settled(self, request_id: str) -> None:  # noqa: B027 - only connectors that balance need it
        """The sender has learned the answer another way: the request occupies no executor any more."""

    @property
    def endpoint(self) -> str | None:
        """Where other processes reach this world; None if they cannot."""
        return None

    @property
    def public_key(self) -> str | None:
        """The key this world proves itself with on TCP, for its record; None if it has none."""
        return None
