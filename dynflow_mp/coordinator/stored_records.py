"""Records as rows of their table, and back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from dynflow_mp.coordinator.records import (
    EXECUTOR_WORLD,
    WORLD_CLASSES,
    AnyRecord,
    ExecutionLock,
    Lock,
    Record,
    WorldRecord,
    WorldState,
    stored_lock,
)
from dynflow_mp.errors import DamagedData
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.writes import ClaimPlan
from dynflow_mp.persistence.statements import Row


class StoredRecord(NamedTuple):
    """One row of the table, in the order of its columns."""

    class_name: str
    id: str
    owner_id: str | None
    state: str | None
    epoch: int | None
    lease: int | None
    data: bytes


def packed(data: Mapping[str, Any]) -> bytes:
    """What a record says, as bytes."""
    return encode(dict(data), "record")


def unpacked(data: bytes) -> dict[str, Any]:
    """What a record says; nothing where that cannot be read: who holds what, and who lives, the columns tell."""
    try:
        said = decode(data)
    except DamagedData:
        return {}
    return said if isinstance(said, dict) else {}


def lease_of_new(record: AnyRecord) -> int | None:
    """A world begins at the lease it says; with others, the column tells whose insertion a row comes from."""
    return record.lease if isinstance(record, WorldRecord) else random.getrandbits(62)


def to_row(record: AnyRecord) -> StoredRecord:
    """The row of a record."""
    if isinstance(record, WorldRecord):
        return StoredRecord(
            record.class_name,
            record.id,
            None,
            str(record.state),
            None,
            record.lease,
            packed(record.meta),
        )
    if isinstance(record, Lock):
        return StoredRecord(
            record.class_name, record.id, record.owner_id, None, record.epoch, None, packed(record.data)
        )
    return StoredRecord(record.class_name, record.id, None, None, None, None, packed(record.data))


def claim_row(claim: ClaimPlan) -> Row:
    """The row of the execution lock that comes with a claim."""
    lock = ExecutionLock(
        claim.plan_id, claim.world_id, claim.client_id, claim.request_id, claim.epoch_read + 1
    )
    return to_row(lock)


def any_record(stored: StoredRecord) -> AnyRecord:
    """The record of a row, as what it is."""
    if stored.class_name in WORLD_CLASSES:
        return world_of(stored)
    if stored.owner_id is not None:
        return lock_of(stored)
    return Record(stored.class_name, stored.id, unpacked(stored.data), stored=True)


def lock_of(stored: StoredRecord) -> Lock:
    """The lock of a row that has an owner."""
    owner_id = stored.owner_id or ""
    return stored_lock(stored.class_name, stored.id, owner_id, unpacked(stored.data), stored.epoch)


def world_of(stored: StoredRecord) -> WorldRecord:
    """The world of a row of a class of worlds."""
    return WorldRecord(
        stored.id,
        stored.class_name == EXECUTOR_WORLD,
        stored.state or WorldState.DEAD.value,
        unpacked(stored.data),
        stored.lease or 0,
    )
