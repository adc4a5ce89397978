"""Envelopes on their way through the database: posted by one world, taken by another.

    post ──▶ row (receiver, number, poster) ──▶ waiting, taken by its receiver ──▶ deleted
                                      └──────── not taken: withdrawn by its poster, or dropped by whoever tidies up

A poster's numbers only rise, it commits one batch after the other, and a receiver takes each poster's rows in
their order. So a single number says of all rows up to it that they were taken, or are given up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2s
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, literal_column, null, select, text

from dynflow_mp.model.messages import MAX_ENVELOPE
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.statements import Row, Statement, changing, inserting, run_all
from dynflow_mp.persistence.tables import envelopes

AT_ONCE = 256
"""Letters read at one look."""
_INLINE = 64 * 1024
"""Larger envelopes are read one by one: a look at what waits takes a bounded amount of memory."""

_row = envelopes.c

_POST = inserting(envelopes, or_nothing=True)
_TAKEN = changing(
    {"receiver": _row.receiver_id, "poster": _row.posted_by, "up_to": _row.number},
    lambda given: delete(envelopes).where(
        _row.receiver_id == given("receiver"),
        _row.posted_by == given("poster"),
        _row.number <= given("up_to"),
    ),
)
_WAITING = Statement(
    select(
        _row.receiver_id,
        _row.number,
        _row.posted_by,
        case((func.length(_row.data) <= literal_column(str(_INLINE)), _row.data), else_=null()),
    )
    .where(_row.receiver_id == bindparam("receiver"))
    .order_by(_row.number)
    .suffix_with(text(f"LIMIT {AT_ONCE}")),
    ("receiver",),
)
_NOT_TAKEN = Statement(
    select(_row.receiver_id, func.min(_row.number))
    .where(_row.posted_by == bindparam("poster"))
    .group_by(_row.receiver_id),
    ("poster",),
)
_OLDEST = Statement(select(_row.receiver_id, func.min(_row.number)).group_by(_row.receiver_id), ())
_NOTIFY = Statement(text("SELECT pg_notify(:channel, '')"), ("channel",))
_IN_NO_HURRY = Statement(text("SET LOCAL synchronous_commit = off"), ())
"""A power failure may lose envelopes, which are hints, so nobody needs to wait for the disk."""


class Letter(NamedTuple):
    """One envelope as it is stored. ``data`` is None in one that is large and has not been read yet."""

    receiver_id: str
    number: int
    posted_by: str
    data: bytes | None


def channel_of(world_id: str) -> str:
    """Where PostgreSQL tells this world that something has come."""
    return f"dynflow_{blake2s(world_id.encode(), digest_size=16).hexdigest()}"


class EnvelopeStore:
    """All that is stored about envelopes. Any thread may call it; every call is one short transaction.

    Nothing is tried again here: whoever carries envelopes has others to look after meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, own_id: str, letters: Sequence[Letter], taken: Mapping[str, int]) -> None:
        """Post ``letters`` (one that is there already stays as it is) and forget what was taken.

        ``taken`` has, by poster, the number up to which ``own_id`` has taken what was sent to it.
        """
        work: list[tuple[Statement, list[Row]]] = []
        if taken:
            work.append((_TAKEN, [(own_id, poster, up_to) for poster, up_to in taken.items()]))
        if letters:
            work.append((_POST, list(letters)))
        if not work:
            return

        def write(connection: Connection, _in_doubt: bool) -> None:
            run_all(connection, self._in_its_words(connection, work, letters))

        self._database.change(write, patience_s=0.0)

    def _in_its_words(
        self, connection: Connection, work: list[tuple[Statement, list[Row]]], letters: Sequence[Letter]
    ) -> list[tuple[Statement, list[Row]]]:
        if connection.dialect.name != "postgresql":
            return work
        receivers = dict.fromkeys(letter.receiver_id for letter in letters)
        told: list[tuple[Statement, list[Row]]] = [
            (_NOTIFY, [(channel_of(receiver),)]) for receiver in receivers
        ]
        return [(_IN_NO_HURRY, [()]), *work, *told]

    def waiting(self, own_id: str) -> list[Letter]:
        """What waits for ``own_id``, of each poster in its order; at most ``AT_ONCE`` letters."""
        with self._database.read() as connection:
            return [Letter(*row) for row in _WAITING.run(connection, (own_id,)).fetchall()]

    def load(self, letter: Letter) -> bytes | None:
        """The bytes of a large letter; None if it was withdrawn meanwhile, none at all of one that is larger than any of ours."""
        size = func.length(_row.data)
        fits = size <= literal_column(str(MAX_ENVELOPE))
        query = select(size, case((fits, _row.data), else_=null())).where(
            _row.receiver_id == letter.receiver_id,
            _row.number == letter.number,
            _row.posted_by == letter.posted_by,
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return b"" if row[1] is None else bytes(row[1])

    def not_taken(self, poster: str) -> dict[str, int]:
        """By receiver, the lowest number of what ``poster`` has sent and nobody has taken."""
        with self._database.read() as connection:
            rows: list[Any] = _NOT_TAKEN.run(connection, (poster,)).fetchall()
        return dict(map(tuple, rows))

    def withdraw(self, poster: str, receiver_id: str, up_to: int) -> None:
        """Take back what ``receiver_id`` has not taken, up to this number."""
        self._database.change(
            lambda connection, _in_doubt: _TAKEN.run(connection, (receiver_id, poster, up_to)),
            patience_s=0.0,
        )

    # -- what nobody will take -------------------------------------------------------------------------

    def receivers(self) -> dict[str, int]:
        """Everybody for whom something waits, and when the oldest of it was posted (see :meth:`drop_before`)."""
        with self._database.read() as connection:
            rows: list[Any] = _OLDEST.run(connection, ()).fetchall()
        return dict(map(tuple, rows))

    def drop_for(self, receivers: Collection[str]) -> int:
        """Forget what waits for these; how many envelopes that was."""
        theirs = delete(envelopes).where(_row.receiver_id.in_(sorted(receivers)))
        return self._database.change(lambda connection, _in_doubt: connection.execute(theirs).rowcount)

    def drop_before(self, time: int) -> int:
        """Forget what was posted before ``time`` (microseconds UTC, by its poster's clock); how many envelopes that was.

        A letter's number is the time when it was posted, as far as no two have the same.
        """
        old = delete(envelopes).where(_row.number < time)
        return self._database.change(lambda connection, _in_doubt: connection.execute(old).rowcount)
