"""Every few seconds: take over what dead worlds left, and ask for requested plans that nobody takes.

who holds locks ─▶ who is registered ─▶ judge ─▶ recover the dead, forget those who left nothing
requested plans without an owner, also in the round before ─▶ Execution to any executor
plans that run here ─▶ those that were deleted are dropped
plans that are stored as running here ─▶ those that do not, also in the pass before, are given up

Between rounds it looks, without asking the database, whether the executors of this host still have their processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from random import Random
from time import monotonic

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord, WorldState
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.errors import InactiveWorld, LockLost, LockTaken, PersistenceError, WorldFenced
from dynflow_mp.maintenance.background import Background
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.silences import Silences, judge
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.persistence.store import Store
from dynflow_mp.telemetry import logger

log = logger("maintenance.reconciler")

_AT_ONCE = 500
"""Most plans asked for, or looked at, in one round."""
_NEIGHBOURS_S = 0.5
"""Seconds between two looks at the processes of this host's executors: some 30 µs for each of them."""
_LONGEST_GAP = 3
"""How many intervals between two looks count as silence of others."""


class Reconciler(Background):
    """Owns a thread that does a round at once, then about every ``interval_s`` seconds, and when an executor's process went.

    Every executor world has one. ``ask`` has any executor run a plan, ``take`` this one, ``offer`` too, as it has room;
    ``fenced`` is called once when another world has declared this one dead. ``held`` are the plans that run here,
    ``deleted`` is told which of them are not stored any more, ``stranded`` which others are stored as running here;
    ``tidy`` is called in every round, after what matters more.
    """

    def __init__(
        self,
        store: Store,
        coordinator: Coordinator,
        recovery: Recovery,
        ask: Callable[[Envelope], None],
        offer: Callable[[Sequence[str]], None],
        fenced: Callable[[WorldFenced], None],
        *,
        interval_s: float,
        lease_ttl_s: float,
        tidy: Callable[[], object] = lambda: None,
        chance: Random | None = None,
        take: Callable[[Envelope], None] | None = None,
        held: Callable[[], Sequence[str]] = tuple,
        deleted: Callable[[Sequence[str]], None] = lambda plan_ids: None,
        stranded: Callable[[Sequence[str]], None] = lambda plan_ids: None,
    ) -> None:
        super().__init__("reconciler")
        self._store, self._coordinator, self._recovery = store, coordinator, recovery
        self._ask, self._offer, self._fenced = ask, offer, fenced
        self._take = take or ask
        self._asked_for: set[str] = set()
        self._interval_s, self._lease_ttl_s = interval_s, lease_ttl_s
        self._tidy = tidy
        self._chance = chance or Random()
        self._silences = Silences(_LONGEST_GAP * interval_s)
        self._neighbours: list[WorldRecord] = []
        self._waiting: set[str] = set()
        self._held, self._deleted, self._stranded = held, deleted, stranded
        self._looked_up_to = self._compared_up_to = ""
        self._strays: set[str] = set()
        self._strays_before: set[str] = set()
        self._numbers = count(1)

    def _run(self) -> None:
        wait_s = 0.0
        while self._go_on_after(wait_s):
            try:
                self.round(monotonic())
            except WorldFenced as error:
                self._fenced(error)
                return
            except InactiveWorld:
                return  # this world is ending: whoever stays looks after the plans
            except Exception:
                # Whatever it was, the next round may go better; without any, plans would be stranded.
                log.exception("a round was given up", extra={"action": "reconcile_failed"})
            # Executors started together shall not look all at once.
            wait_s = self._interval_s * (0.8 + 0.4 * self._chance.random())

    def _go_on_after(self, wait_s: float) -> bool:
        """Wait until the next round is due; false when this world is ending."""
        due = monotonic() + wait_s
        while (left_s := due - monotonic()) > 0:
            if self._stopping.wait(min(left_s, _NEIGHBOURS_S)):
                return False
            if any(map(gone, self._neighbours)):
                break
        return not self._stopping.is_set()

    def round(self, now: float) -> None:
        """Look once; ``now`` is the steady clock's time. Done by the thread, and by tests without one."""
        asked_at = monotonic()
        own_id = self._coordinator.world_id
        # In this order: a world that registers in between has no locks among those read before.
        holders = self._coordinator.lock_holders()
        owners, own_plans = self._store.who_runs_what(own_id, self._compared_up_to, _AT_ONCE)
        holders |= owners
        worlds = self._coordinator.find_worlds()
        self._silences.look(worlds, now, now + (monotonic() - asked_at))
        verdict = judge(worlds, holders, self._silences.of, self._lease_ttl_s, gone)
        # Whose process is gone already is this round's work, or, where that fails, the next one's.
        self._neighbours = [
            world for world in worlds if world.executor and world.state != WorldState.DEAD and not gone(world)
        ]
        # What they had when they were found silent: one that renews it before it is declared dead has begun anew,
        # with steps that may run until that lease is over.
        leases = {world.id: world.lease for world in worlds if not gone(world)}
        fence = self._coordinator.fence
        _do_each(
            *(partial(self._recover, dead, leases.get(dead)) for dead in verdict.recover if dead != own_id),
            *(partial(self._coordinator.delete_world, world_id) for world_id in verdict.forget),
            partial(self._store.give_up_orphans, fence),
            partial(self._store.let_go_of_unowned, fence),
            self._ask_again,
            self._look_for_deleted,
            partial(self._look_for_stranded, own_plans),
            self._tidy,
        )

    def _recover(self, world_id: str, lease: int | None) -> None:
        if self._stopping.is_set():
            return
        try:
            self._recovery.invalidate(world_id, lease)
        except LockTaken:
            log.debug("world %s is recovered elsewhere", world_id, extra={"action": "recovery_elsewhere"})
        except LockLost as error:
            log.warning("recovery overtaken: %s", error, extra={"action": "recovery_overtaken"})

    def _ask_again(self) -> None:
        """Requested plans that have waited a whole round: who asked for them may be gone."""
        waiting = {plan.id: plan for plan in self._store.requested_plans(_AT_ONCE)}
        stranded, self._waiting = sorted(waiting.keys() & self._waiting), set(waiting)
        fresh = [plan_id for plan_id in stranded if waiting[plan_id].lock_epoch == 0]
        if fresh:
            # Each executor takes what it has room for, in an order of its own: there may be thousands,
            # and they shall not all go for the same.
            self._chance.shuffle(fresh)
            self._offer(fresh)
        own_id = self._coordinator.world_id
        begun = set(stranded).difference(fresh)
        for plan_id in begun:
            request_id = f"{UNATTENDED}{own_id}-{next(self._numbers)}"
            # What nobody took although it was asked for is taken here: perhaps no message gets through.
            ask = self._take if plan_id in self._asked_for else self._ask
            ask(Envelope(own_id, ANY_EXECUTOR, request_id, Execution(plan_id)))
        self._asked_for = begun

    def _look_for_deleted(self) -> None:
        """A plan that waits for an event and was deleted would be remembered, and locked, until one came."""
        held = sorted(self._held())
        some = [plan_id for plan_id in held if plan_id > self._looked_up_to][:_AT_ONCE]
        self._looked_up_to = some[-1] if len(some) == _AT_ONCE else ""
        deleted = set(some).difference(self._store.plan_statuses(some)) if some else ()
        if deleted:
            self._deleted(sorted(deleted))

    def _look_for_stranded(self, found: list[str]) -> None:
        """Among plans that are stored as running here.

        A plan that this world had to drop, since what became of it could not be stored, would be its own for ever.

        One that is seen once has begun or ended just now; whoever is told asks the core, which knows.
        """
        strays = set(found).difference(self._held())
        self._strays |= strays
        if stranded := sorted(strays & self._strays_before):
            self._stranded(stranded)
        self._compared_up_to = found[-1] if len(found) == _AT_ONCE else ""
        if not self._compared_up_to:
            self._strays_before, self._strays = self._strays, set()


def _do_each(*duties: Callable[[], object]) -> None:
    """What goes wrong with one (rows that somebody holds, or that make no sense) keeps no other from being done.

    But where all would: when this world is dead or ends, or the database is away.
    """
    for duty in duties:
        try:
            duty()
        except (WorldFenced, InactiveWorld):
            raise
        except Exception as error:
            if isinstance(error, PersistenceError) and error.kind == "connection":
                raise
            log.exception("a part of a round was given up", extra={"action": "reconcile_failed"})
