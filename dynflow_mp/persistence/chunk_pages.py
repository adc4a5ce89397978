"""Some pieces of output of an action that may have written very many."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from dynflow_mp.persistence.rows import ChunkRow
from dynflow_mp.persistence.tables import output_chunks

_columns = output_chunks.c


def read_chunk_page(
    connection: Connection, plan_id: str, action_id: int, start: int | None, most: int
) -> tuple[list[ChunkRow], int]:
    """So many at most, in order, from the one at ``start`` on, None: the last ones; and how many there are."""
    wanted = (_columns.execution_plan_id == plan_id, _columns.action_id == action_id)
    total = connection.execute(select(func.count()).select_from(output_chunks).where(*wanted)).scalar_one()
    query = select(_columns.kind, _columns.chunk, _columns.written_at).where(*wanted).limit(most)
    if start is None:
        rows = connection.execute(query.order_by(_columns.id.desc()))
        return [ChunkRow(*row) for row in rows][::-1], int(total)
    rows = connection.execute(query.order_by(_columns.id).offset(start))
    return [ChunkRow(*row) for row in rows], int(total)
