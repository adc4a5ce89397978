"""Worlds of several processes, over ZeroMQ.

    any thread: send ──▶ exchange ──▶ DEALER of the executor  (requests)
                         │    ▲   ──▶ our ROUTER              (answers)
       receiver.receive ◀┘    └── all sockets, directory; one thread

Only executors bind; everyone connects to every executor it may need, and is answered over its own
connection, also by an executor it never asked: that is how a successor finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.connectors.connector import Directory, Receiver
from dynflow_mp.connectors.endpoints import Place, is_everywhere, reached_at
from dynflow_mp.connectors.exchange import Exchange
from dynflow_mp.connectors.keys import KeyPair, why_no_curve
from dynflow_mp.connectors.post_office import OfficeConnector
from dynflow_mp.errors import ConnectorError

TRANSPORTS = frozenset({"ipc", "tcp"})
"""What stands before :// in endpoints that can be connected to."""


class ZeroMQConnector(OfficeConnector):
    """The connector of one world that talks to other processes.

    An executor (``receiver.takes_work``), and anyone given ``listen``, binds a ROUTER. All sockets and
    tables belong to the thread ``dynflow connector``; the directory is asked there, at most once in
    ``refresh_s`` seconds.

    With ``keys`` all TCP goes over CURVE, and only worlds in the register may come in; without them only
    loopback addresses and ipc are allowed. ``advertise_host`` is where others reach this one, if not where it listens.
    """

    def __init__(
        self,
        directory: Directory,
        listen: str | None = None,
        *,
        refresh_s: float = 1.0,
        linger_s: float = 2.0,
        keys: KeyPair | None = None,
        advertise_host: str | None = None,
    ) -> None:
        super().__init__()
        self._directory, self._listen = directory, listen
        self._keys, self._advertise_host = keys, advertise_host
        self._refresh_s, self._linger_s = refresh_s, linger_s

    @property
    def endpoint(self) -> str | None:
        office = self._office
        if not isinstance(office, Exchange) or office.endpoint is None:
            return None
        return reached_at(office.endpoint, self._advertise_host)

    @property
    def public_key(self) -> str | None:
        return None if self._keys is None else self._keys.public

    @property
    def refused_connections(self) -> Mapping[str, int]:
        """How many TCP connections were refused, by reason."""
        office = self._office
        doorkeeper = office.doorkeeper if isinstance(office, Exchange) else None
        return {} if doorkeeper is None else doorkeeper.refused

    def _open_office(self, receiver: Receiver) -> Exchange:
        place = self._place() if self._listen or receiver.takes_work else None
        try:
            return Exchange(receiver, self._directory, self._refresh_s, self._linger_s, self._keys, place)
        except BaseException:
            if place is not None:
                place.release()
            raise

    def _place(self) -> Place:
        listen = self._listen
        if listen is not None and listen.startswith("tcp://"):
            reason = None if self._keys is None else why_no_curve()
            if reason is not None:
                raise ConnectorError(f"{listen} cannot be listened on: {reason}; or listen on ipc://…")
            if is_everywhere(listen) and self._keys is not None and self._advertise_host is None:
                raise ConnectorError(
                    f"{listen} does not say where other worlds reach this one; "
                    "listen on one address, or say it with advertise_host"
                )
        return Place.claim(listen, encrypted=self._keys is not None)
