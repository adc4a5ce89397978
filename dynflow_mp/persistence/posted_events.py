"""Events of actions on their way to steps of other plans: kept until they have arrived, or nobody can take them.

stored with the outcome that asked for it (owner: who sends it) ─▶ sent ─▶ answered ─▶ forgotten
                                                    └ its owner died, or ended ─▶ taken by another, sent again
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from dynflow_mp.persistence.database import Database, Fence
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import posted_events

_post = posted_events.c


class PostedEvent(NamedTuple):
    """One event; ``due_at`` microseconds UTC, None for at once."""

    id: str
    to_plan_id: str
    to_step_id: int
    data: bytes
    optional: bool
    due_at: int | None


_COLUMNS = (_post.id, _post.to_plan_id, _post.to_step_id, _post.data, _post.optional, _post.due_at)


class PostedEvents:
    """All that is stored about them. Any thread may call it; every call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, world_id: str, living: Collection[str], most: int, fence: Fence) -> list[PostedEvent]:
        """Take those that nobody sends who is alive, oldest first."""
        theirs = _post.owner_id.not_in(sorted({*living, world_id}))
        query = select(*_COLUMNS).where(theirs).order_by(_post.posted_at, _post.id).limit(most)
        found = self._database.ask(lambda connection: connection.execute(query).fetchall())
        if found:

            def take_them(connection: Connection, in_doubt: bool) -> list[Any]:
                return [row for row in found if _took(connection, row[0], theirs, world_id, in_doubt)]

            found = self._database.change(take_them, fence)
        return [_event(row) for row in found]

    def own(self, world_id: str, but: Collection[str], most: int) -> list[PostedEvent]:
        """Those that this world is to send, without these; oldest first."""
        ids = select(_post.id).where(_post.owner_id == world_id).order_by(_post.posted_at, _post.id)

        def read(connection: Connection) -> list[PostedEvent]:
            wanted = [id_ for id_ in connection.execute(ids).scalars() if id_ not in but][:most]
            rows = connection.execute(select(*_COLUMNS).where(_post.id.in_(wanted))) if wanted else ()
            found = {row[0]: _event(row) for row in rows}
            return [found[id_] for id_ in wanted if id_ in found]

        return self._database.ask(read)

    def forget(self, event_ids: Sequence[str], fence: Fence) -> None:
        """They have arrived, or never will."""

        def forget_them(connection: Connection, _in_doubt: bool) -> None:
            for start in range(0, len(event_ids), CHUNK):
                some = list(event_ids[start : start + CHUNK])
                connection.execute(delete(posted_events).where(_post.id.in_(some)))

        self._database.change(forget_them, fence)


def _event(row: Any) -> PostedEvent:
    id_, to_plan_id, to_step_id, data, optional, due_at = row
    return PostedEvent(id_, to_plan_id, to_step_id, data, bool(optional), due_at)


def _took(
    connection: Connection, event_id: str, theirs: ColumnElement[bool], world_id: str, in_doubt: bool
) -> bool:
    mine = or_(theirs, _post.owner_id == world_id) if in_doubt else theirs
    change = update(posted_events).where(_post.id == event_id, mine).values(owner_id=world_id)
    return connection.execute(change).rowcount == 1
