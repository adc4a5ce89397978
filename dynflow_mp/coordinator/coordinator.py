"""Who is here, who holds what – and the fence that keeps a world declared dead from writing.

register ─▶ alive ─▶ draining ─▶ (deleted)          renew_lease: "I still turn"
              └────────┴───────▶ dead, for ever      fence: first in every write transaction

A claimed plan's execution lock is inserted and deleted in the very transaction that changes the plan
row (:meth:`Coordinator.follow_turn`); all other locks are one transaction each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock as ThreadLock
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    literal_column,
    select,
    update,
)

from dynflow_mp.coordinator.record_queries import deleting, matching, ordered, refuse_unknown
from dynflow_mp.coordinator.records import (
    CLIENT_WORLD,
    EXECUTOR_WORLD,
    WORLD_CLASSES,
    AnyRecord,
    ExecutionLock,
    Lock,
    WorldRecord,
    WorldState,
    check_texts,
    owner_of_world,
    plan_lock_id,
    world_of_owner,
)
from dynflow_mp.coordinator.stored_records import (
    StoredRecord,
    any_record,
    claim_row,
    lease_of_new,
    lock_of,
    packed,
    to_row,
    world_of,
)
from dynflow_mp.errors import (
    DuplicateRecord,
    InactiveWorld,
    LockLost,
    LockTaken,
    RecordNotFound,
    WorldFenced,
)
from dynflow_mp.model.writes import ClaimPlan, SavePlan, Write
from dynflow_mp.persistence.database import PATIENCE_S, Database
from dynflow_mp.persistence.statements import Row, Statement, changing, inserting
from dynflow_mp.persistence.tables import coordinator_records
from dynflow_mp.telemetry import logger

log = logger("coordinator")

_column = coordinator_records.c
_class: Any = coordinator_records.c["class"]

_LIVING = (WorldState.ALIVE.value, WorldState.DRAINING.value)
_EXECUTION_LOCK = ExecutionLock.__name__


def _own_world(world_id: BindParameter[str]) -> tuple[ColumnElement[bool], ...]:
    """A world's row if it may still write: words of ours as constants, so that only the id is passed."""
    return (
        _class.in_([literal_column(f"'{name}'") for name in WORLD_CLASSES]),
        _column.id == world_id,
        _column.state.in_([literal_column(f"'{state}'") for state in _LIVING]),
    )


# PostgreSQL: a lock that keeps the row from going and from _SHUT, but not from a renewal, which changes no key. One
# FOR SHARE would: those that come later are let in before a renewal that waits, and of busy threads there is always one.
_FENCE = Statement(
    select(_column.state).where(*_own_world(bindparam("world"))).with_for_update(read=True, key_share=True),
    ("world",),
)
_SHUT = Statement(
    select(_column.state)
    .where(
        _class.in_([literal_column(f"'{name}'") for name in WORLD_CLASSES]), _column.id == bindparam("world")
    )
    .with_for_update(),
    ("world",),
)
"""Waits until no transaction is behind the world's fence; until this one ends none gets there."""
_LOCK_OF_PLAN = Statement(
    select(coordinator_records).where(
        _class == literal_column(f"'{_EXECUTION_LOCK}'"), _column.id == bindparam("lock")
    ),
    ("lock",),
)
_RENEWAL = update(coordinator_records).where(*_own_world(bindparam("world")))
_RENEW = Statement(_RENEWAL.values(lease=_column.lease + literal_column("1")), ("world",))
_RENEW_AND_SAY = Statement(
    _RENEWAL.values(
        lease=_column.lease + literal_column("1"), data=bindparam("new_data", type_=_column.data.type)
    ),
    ("new_data", "world"),
)
_LOCK_OWNERS = Statement(select(_column.owner_id).where(_column.owner_id.is_not(None)).distinct(), ())
_WORLDS = (
    select(coordinator_records)
    .where(_class.in_([literal_column(f"'{name}'") for name in WORLD_CLASSES]))
    .order_by(_class.desc(), _column.id)
)
_ALL_WORLDS = Statement(_WORLDS, ())
_INSERT = inserting(coordinator_records, or_nothing=True)
_LEASE = select(_column.lease).where(_class == bindparam("kind"), _column.id == bindparam("id"))
_RELEASE_EPOCH = changing(
    {"lock": _column.id, "owner": _column.owner_id, "lock_epoch": _column.epoch},
    lambda given: delete(coordinator_records).where(
        _class == literal_column(f"'{_EXECUTION_LOCK}'"),
        _column.id == given("lock"),
        _column.owner_id == given("owner"),
        _column.epoch == given("lock_epoch"),
    ),
)


class Coordinator:
    """One world's view of the records all worlds share. Any thread may call it.

    ``active`` tells whether this world still takes locks: one that ends does not.
    """

    def __init__(self, database: Database, world_id: str, active: Callable[[], bool] = lambda: True) -> None:
        self._database = database
        self.world_id = world_id
        self._active = active
        self._guard = ThreadLock()
        self._held: set[tuple[str, str]] = set()
        """Class and id of the locks that blocks of this process hold."""

    # -- the fence -------------------------------------------------------------------------------------

    def fence(self, connection: Connection) -> None:
        """First in every write transaction: this world's row is still there and not dead, and stays so.

        Raises :class:`WorldFenced`: the world may not write any more and ends itself.
        """
        if _FENCE.run(connection, (self.world_id,)).fetchone() is None:
            raise self._fenced()

    def renew_lease(self, meta: Mapping[str, Any] | None = None) -> None:
        """Let others see that this world still turns; ``meta`` replaces what its record says.

        Raises :class:`WorldFenced` when it was declared dead or removed.
        """
        renewal, given = _RENEW, cast("Row", (self.world_id,))
        if meta is not None:
            renewal, given = _RENEW_AND_SAY, (packed(meta), self.world_id)

        def renew(connection: Connection, _in_doubt: bool) -> None:
            if renewal.run(connection, given).rowcount != 1:
                raise self._fenced()

        # Soon it is renewed anyway; until then nobody shall wait.
        self._database.change(renew, patience_s=0.0)

    def _fenced(self) -> WorldFenced:
        return WorldFenced(f"world {self.world_id} was declared dead or removed; it may not write any more")

    # -- worlds ----------------------------------------------------------------------------------------

    def register_world(self, record: WorldRecord) -> None:
        """Make a world known. Raises :class:`DuplicateRecord`: world ids are never used twice."""
        self.create_record(record)

    def update_world(self, record: WorldRecord) -> None:
        """Replace what a living world's record says. Raises RecordNotFound when it is dead or gone."""
        self.update_record(record)

    def set_world_state(
        self,
        world_id: str,
        state: str,
        within: Callable[[Connection], None] = lambda connection: None,
        *,
        lease: int | None = None,
    ) -> bool:
        """Move a world on. ``dead`` is final: whoever is dead stays so, and RecordNotFound is raised.

        ``within`` is done in the same transaction. With ``lease`` only if that is still its lease; False if it has
        renewed it since it was read.
        """
        state = WorldState(state).value
        world = (_class.in_(WORLD_CLASSES), _column.id == world_id, _column.state != WorldState.DEAD.value)
        change = update(coordinator_records).where(*world).values(state=state)
        if lease is not None:
            change = change.where(_column.lease == lease)

        def move(connection: Connection, in_doubt: bool) -> bool:
            if state == WorldState.DEAD:
                _SHUT.run(connection, (world_id,))
            if connection.execute(change).rowcount == 1:
                within(connection)
                return True
            lives = connection.execute(select(_column.lease).where(*world)).scalar() is not None
            if not lives and not in_doubt:
                raise RecordNotFound(f"no living world {world_id} is registered")
            # In doubt, a move that was carried out before may count as no change.
            return not lives or lease is None

        return self._database.change(move)

    def delete_world(self, world_id: str) -> None:
        """Remove a world, its locks first – but not those of plans it still holds: they tell who had them."""
        theirs = delete(coordinator_records).where(
            _column.owner_id == owner_of_world(world_id), _class != _EXECUTION_LOCK
        )
        world = delete(coordinator_records).where(_class.in_(WORLD_CLASSES), _column.id == world_id)

        def remove(connection: Connection, _in_doubt: bool) -> None:
            connection.execute(theirs)
            connection.execute(world)

        self._database.change(remove)

    def find_worlds(self, active_executors_only: bool = False, **filters: Any) -> list[WorldRecord]:
        """Executors, then clients, that ``filters`` let through; or only executors that take work."""
        refuse_unknown(filters, ("id", "state", "executor"))
        executor = filters.pop("executor", None)
        if not filters and executor is None and not active_executors_only:
            with self._database.read() as connection:
                return [world_of(StoredRecord(*row)) for row in _ALL_WORLDS.run(connection, ()).fetchall()]
        query = matching(_WORLDS, filters)
        if executor is not None:
            query = query.where(_class == (EXECUTOR_WORLD if executor else CLIENT_WORLD))
        if active_executors_only:
            query = query.where(_class == EXECUTOR_WORLD, _column.state == WorldState.ALIVE.value)
        return [world_of(stored) for stored in self._read(query)]

    # -- records ---------------------------------------------------------------------------------------

    def create_record(self, record: AnyRecord) -> None:
        """Insert a record. Raises :class:`DuplicateRecord` when its class and id are taken."""
        check_texts(record)
        row = to_row(record)._replace(lease=lease_of_new(record))
        self._database.change(lambda connection, in_doubt: self._insert(connection, record, row, in_doubt))

    def update_record(self, record: AnyRecord) -> None:
        """Replace a record's data. Raises :class:`RecordNotFound`: a deleted record never comes back."""
        check_texts(record)
        row = to_row(record)
        change = (
            update(coordinator_records)
            .where(_class == row.class_name, _column.id == row.id)
            .values(data=row.data)
        )
        if isinstance(record, WorldRecord):
            change = change.where(_column.state != WorldState.DEAD.value).values(state=row.state)

        def replace(connection: Connection, _in_doubt: bool) -> None:
            if isinstance(record, WorldRecord):
                _SHUT.run(connection, (record.id,))
            if connection.execute(change).rowcount != 1:
                raise RecordNotFound(f"{record} is not there any more")

        self._database.change(replace)

    def delete_record(self, record: AnyRecord) -> None:
        """Delete a record by class and id; one that is gone already is fine. Locks are released instead."""
        deletion = deleting(record.class_name, record.id)
        self._database.change(lambda connection, _in_doubt: connection.execute(deletion))

    def find_records(self, **filters: Any) -> list[AnyRecord]:
        """Records by ``class_name``, ``id``, ``owner_id`` (a value or several each), ``exclude_owner_id``."""
        return [any_record(stored) for stored in self._read(matching(ordered(), filters))]

    # -- locks -----------------------------------------------------------------------------------------

    def acquire(self, lock: Lock) -> None:
        """Take a lock, or raise :class:`LockTaken` at once; the same owner cannot take it twice either.

        Raises :class:`InactiveWorld` when this world is ending.
        """
        check_texts(lock)
        if lock.stored:
            raise TypeError(f"{lock} was read from the database: it can be released, not acquired")
        if not self._active():
            raise InactiveWorld(self.world_id)
        row = to_row(lock)._replace(lease=lease_of_new(lock))
        try:
            self._database.change(
                lambda connection, in_doubt: self._insert(connection, lock, row, in_doubt), self.fence
            )
        except DuplicateRecord as taken:
            raise LockTaken(lock) from taken

    def acquire_within(self, connection: Connection, lock: Lock) -> bool:
        """Take a lock in the caller's transaction; whether it could be had. Raises :class:`InactiveWorld`."""
        if not self._active():
            raise InactiveWorld(self.world_id)
        return bool(_INSERT.run(connection, to_row(lock)).rowcount == 1)

    @contextmanager
    def holding(self, lock: Lock) -> Iterator[Lock]:
        """Hold ``lock`` for the block, whatever happens in it. Raises what :meth:`acquire` does.

        A lock of this very world that no block holds was left when the database went away just as it was taken or
        given up: nobody else would ever free it while this world lives, so it is taken for this block's.
        """
        place = (lock.class_name, lock.id)
        with self._guard:
            if place in self._held:
                raise LockTaken(lock)
            self._held.add(place)
        try:
            self._acquire_or_keep(lock)
            try:
                yield lock
            finally:
                self.release(lock)
        finally:
            with self._guard:
                self._held.discard(place)

    def _acquire_or_keep(self, lock: Lock) -> None:
        try:
            self.acquire(lock)
        except LockTaken:
            if not self.find_locks(class_name=lock.class_name, id=lock.id, owner_id=lock.owner_id):
                raise
            log.info("%s was left from before; it is used again", lock, extra={"action": "lock_found_again"})

    def release(self, lock: Lock) -> None:
        """Give a lock up. Raises :class:`LockLost` when this owner does not hold it (any more)."""

        def give_up(connection: Connection, in_doubt: bool) -> None:
            if not self.release_within(connection, lock) and not in_doubt:
                raise LockLost(f"{lock} is not held any more")

        self._database.change(give_up)

    def release_within(self, connection: Connection, lock: Lock) -> bool:
        """Give up a lock, also another world's, in the caller's transaction; whether it was held."""
        giving_up = deleting(lock.class_name, lock.id).where(_column.owner_id == lock.owner_id)
        if lock.epoch is not None:
            giving_up = giving_up.where(_column.epoch == lock.epoch)
        return connection.execute(giving_up).rowcount == 1

    def release_plans_within(self, connection: Connection, locks: Sequence[ExecutionLock]) -> None:
        """Give up locks on plans, also another world's, in the caller's transaction; those not held any more are left."""
        if locks:
            _RELEASE_EPOCH.run_many(connection, [(lock.id, lock.owner_id, lock.epoch) for lock in locks])

    def release_by_owner(self, owner_id: str) -> int:
        """Give up every lock of an owner; how many there were."""
        theirs = delete(coordinator_records).where(_column.owner_id == owner_id)
        return self._database.change(lambda connection, _in_doubt: connection.execute(theirs).rowcount)

    def release_plan(self, plan_id: str) -> bool:
        """Give up the lock on a plan, at whatever epoch this world holds it; whether it did."""
        return self._database.change(
            lambda connection, in_doubt: self.release_plan_within(connection, plan_id) or in_doubt
        )

    def release_plan_within(self, connection: Connection, plan_id: str) -> bool:
        """Give up the lock on a plan in the caller's transaction; whether this world held it."""
        own = _column.owner_id == owner_of_world(self.world_id)
        giving_up = deleting(_EXECUTION_LOCK, plan_lock_id(plan_id)).where(own)
        return connection.execute(giving_up).rowcount == 1

    def find_locks(self, **filters: Any) -> list[Lock]:
        """Locks by ``class_name``, ``id``, ``owner_id`` (a value or several each), ``exclude_owner_id``."""
        query = matching(ordered(), filters).where(_column.owner_id.is_not(None))
        return [lock_of(stored) for stored in self._read(query)]

    def lock_holders(self) -> set[str]:
        """Ids of all worlds that hold locks, registered or not."""
        with self._database.read() as connection:
            named = [world_of_owner(owner) for (owner,) in _LOCK_OWNERS.run(connection, ()).fetchall()]
        return {world_id for world_id in named if world_id is not None}

    def execution_lock(self, plan_id: str, *, patience_s: float = PATIENCE_S) -> ExecutionLock | None:
        """Who runs a plan; None if nobody."""
        given: Row = (plan_lock_id(plan_id),)
        row = self._database.ask(
            lambda connection: _LOCK_OF_PLAN.run(connection, given).fetchone(), patience_s=patience_s
        )
        lock = None if row is None else lock_of(StoredRecord(*row))
        return lock if isinstance(lock, ExecutionLock) else None

    def follow_turn(self, connection: Connection, writes: Sequence[Write], lost: Collection[str]) -> None:
        """The execution locks of plans that a turn claims and releases, in the turn's own transaction."""
        kept = [write for write in writes if isinstance(write, (ClaimPlan, SavePlan))]
        if lost:
            kept = [write for write in kept if write.plan_id not in lost]
        claimed: list[Row] = [claim_row(write) for write in kept if isinstance(write, ClaimPlan)]
        released = [
            self._release_row(write) for write in kept if isinstance(write, SavePlan) and write.release
        ]
        if claimed:
            _INSERT.run_many(connection, claimed)
        if released:
            _RELEASE_EPOCH.run_many(connection, released)

    def _release_row(self, write: SavePlan) -> Row:
        return (plan_lock_id(write.plan_id), owner_of_world(self.world_id), write.epoch)

    # -- the table -------------------------------------------------------------------------------------

    def _insert(self, connection: Connection, record: AnyRecord, row: StoredRecord, in_doubt: bool) -> None:
        if _INSERT.run(connection, row).rowcount == 1:
            return
        if (
            in_doubt
            and connection.execute(_LEASE, {"kind": row.class_name, "id": row.id}).scalar() == row.lease
        ):
            return  # it is the very row that was inserted before
        raise DuplicateRecord(record)

    def _read(self, query: Select[Any]) -> list[StoredRecord]:
        with self._database.read() as connection:
            return [StoredRecord(*row) for row in connection.execute(query)]
