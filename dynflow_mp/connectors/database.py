"""Worlds of several processes and machines that share nothing but their database.

    any thread: send ──▶ mailroom ──▶ dynflow_envelopes ──▶ mailroom of the receiver
                         │    ▲          (row by row, in order; deleted once handed over)
       receiver.receive ◀┘    └── PostgreSQL: LISTEN; elsewhere: looks, quickly while something goes on

Slower than a wire, and a burden on the database; but no port has to be open and no path to be shared.
"""

from __future__ import annotations

from dynflow_mp.connectors.connector import Directory, Receiver
from dynflow_mp.connectors.mailroom import Mailroom, Timings
from dynflow_mp.connectors.post_office import Office, OfficeConnector
from dynflow_mp.persistence.database import Database

TRANSPORT = "database"
ENDPOINT = f"{TRANSPORT}://envelopes"
"""Where a world listens that is reached this way: the same for all, since rows have the receiver's id."""

POLL_S = 0.2
_PATIENCE_S = 10.0
"""How long a receiver may take nothing at all until what was sent to it comes back: twice the longest interval
between two looks."""


class DatabaseConnector(OfficeConnector):
    """The connector of one world that reaches all others through the database.

    All state belongs to the thread ``dynflow connector``. ``poll_s`` is the longest interval between two looks
    where the database does not tell by itself; the directory is asked at most once in ``refresh_s`` seconds.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        *,
        poll_s: float = POLL_S,
        refresh_s: float = 1.0,
        linger_s: float = 2.0,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        super().__init__()
        self._database, self._directory = database, directory
        self._timings = Timings(poll_s, refresh_s, linger_s, patience_s)
        self._last_number = 0
        """Of the last envelope that was stored: numbers go on where the office before left off."""

    @property
    def endpoint(self) -> str | None:
        return None if self._office is None else ENDPOINT

    def _open_office(self, receiver: Receiver) -> Mailroom:
        return Mailroom(receiver, self._database, self._directory, self._timings, self._last_number)

    def _closed(self, office: Office) -> None:
        if isinstance(office, Mailroom):
            self._last_number = office.outgoing.last_number
