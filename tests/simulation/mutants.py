"""The engine without one of its mechanisms: each must be caught.

A mutant is a name of the engine that stands for something else while its seed runs. None of it is in the engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.events import EventBox
from dynflow_mp.dispatchers.client_decisions import ClientDecisions
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.dispatchers.decisions import Send
from dynflow_mp.dispatchers.executor_dispatcher import ExecutorDispatcher
from dynflow_mp.errors import WorldFenced
from dynflow_mp.executor.lease import Lease
from dynflow_mp.executor.loop import Loop
from dynflow_mp.executor.pool import Pool
from dynflow_mp.maintenance.reconciler import Reconciler
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.silences import Silences
from dynflow_mp.persistence import turn, turn_statements
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import execution_plans
from tests.simulation.kernel import Process
from tests.simulation.seams import Patch, Patches
from tests.simulation.simulation import Result, simulate
from tests.simulation.threads import here
from tests.simulation.workers import SimulatedProcesses

_TURN = "dynflow_mp.persistence.turn"
_ALL_BEGUN = 10**9
RECORDED = Path(__file__).with_name("recorded_seeds.json")
"""Written by ``--hunt``."""


def _no_fence(patches: Patches) -> None:
    """Nor does it notice when it renews its lease."""
    renew = Coordinator.renew_lease

    def renew_anyway(self: Coordinator, meta: Any = None) -> None:
        with suppress(WorldFenced):
            renew(self, meta)

    patches.set(Coordinator, "fence", lambda self, connection: None)
    patches.set(Coordinator, "renew_lease", renew_anyway)


def _lease_by_the_time_of_day(patches: Patches) -> None:
    look = Silences.look

    def look_at_the_clock(self: Silences, worlds: Any, now: float, answered: float | None = None) -> None:
        look(self, worlds, here().process.machine.now_us() / 1e6)

    patches.set(Silences, "look", look_at_the_clock)


def _silence_from_the_question(patches: Patches) -> None:
    look = Silences.look

    def look_without_the_answer(
        self: Silences, worlds: Any, now: float, answered: float | None = None
    ) -> None:
        look(self, worlds, now)

    patches.set(Silences, "look", look_without_the_answer)


def _verdict_on_any_lease(patches: Patches) -> None:
    recover = Reconciler._recover
    patches.set(Reconciler, "_recover", lambda self, world_id, lease: recover(self, world_id, None))


def _no_dead_man(patches: Patches) -> None:
    patches.set(SimulatedProcesses, "renew_deadline", lambda self, until: None)


def _begins_without_a_lease(patches: Patches) -> None:
    patches.set(Lease, "holds", property(lambda self: True))


def _workers_outlive_supervisors(patches: Patches) -> None:
    patches.set(Process, "take_children_along", lambda self: None)


def _no_epoch(patches: Patches) -> None:
    """Without the fence, which keeps those out who would come with an old one."""
    _no_fence(patches)
    _no_epoch_alone(patches)


def _no_epoch_alone(patches: Patches) -> None:
    patches.set(_TURN, "_hold", lambda connection, epochs: set())
    _unguarded(patches, "SAVE_PLAN", 1)


def _unguarded(patches: Patches, name: str, conditions: int) -> None:
    """A statement of turns with no more than its first conditions: those that say which row."""
    statement = getattr(turn_statements, name)
    bare = statement._construct._clone()
    bare._where_criteria = bare._where_criteria[:conditions]
    patches.set(turn_statements, name, Statement(bare, statement.names))


def _claims_what_is_owned(patches: Patches) -> None:
    claim = turn._claim

    def claim_anyway(connection: Connection, claims: list[Any]) -> set[str]:
        for one in claims:
            row = execution_plans.c.id == one.plan_id
            taken = update(execution_plans).where(row).values(owner_id=None, lock_epoch=one.epoch_read)
            connection.execute(taken)
        return claim(connection, claims)

    patches.set(_TURN, "_claim", claim_anyway)


def _no_step_guard(patches: Patches) -> None:
    write = turn._write

    def write_whatever_is_there(connection: Connection, batches: list[Any]) -> set[str]:
        write(connection, batches)
        return set()

    for name in ("MARK", "UNMARK", "MOVE", "RESET", "OUTCOME"):
        _unguarded(patches, name, 2)
    patches.set(_TURN, "_write", write_whatever_is_there)


def _neither_claim_nor_step_guard(patches: Patches) -> None:
    """Who claims what another has marks its steps in the same turn: either guard is enough."""
    _claims_what_is_owned(patches)
    _no_step_guard(patches)


def _doubt_is_no(patches: Patches) -> None:
    patches.set("dynflow_mp.persistence.turn_commit", "was_written", lambda connection, writes: False)


def _doubt_is_yes(patches: Patches) -> None:
    patches.set("dynflow_mp.persistence.turn_commit", "was_written", lambda connection, writes: True)


def _events_are_not_known(patches: Patches) -> None:
    patches.set(EventBox, "knows", lambda self, event_id: False)
    patches.set(EventBox, "was_done", lambda self, event_id: False)
    patches.set(ExecutorDispatcher, "_event", _always_new(ExecutorDispatcher._event))


def _always_new(event: Any) -> Any:
    def arrived(self: ExecutorDispatcher, request: Any, message: Any, now: int) -> Any:
        self._open_events.pop(request.request_id, None)
        return event(self, request, message, now)

    return arrived


def _asks_again_under_another_id(patches: Patches) -> None:
    send, heard, back = ClientDecisions._send, ClientDecisions.heard, ClientDecisions.undeliverable

    def send_anew(self: ClientDecisions, tracked: Any) -> Send:
        envelope = send(self, tracked).envelope
        return Send(envelope._replace(request_id=f"{envelope.request_id}#{tracked.times_sent}"))

    def as_asked(envelope: Any) -> Any:
        return envelope._replace(request_id=envelope.request_id.partition("#")[0])

    patches.set(ClientDecisions, "_send", send_anew)
    patches.set(ClientDecisions, "heard", lambda self, envelope, now: heard(self, as_asked(envelope), now))
    patches.set(
        ClientDecisions,
        "undeliverable",
        lambda self, envelope, error, now: back(self, as_asked(envelope), error, now),
    )


def _no_reconciler(patches: Patches) -> None:
    patches.set(Reconciler, "round", lambda self, now: None)


def _nobody_asks_again_for_plans(patches: Patches) -> None:
    patches.set(Reconciler, "_ask_again", lambda self: None)


def _all_that_was_sent_had_begun(patches: Patches) -> None:
    remove = Pool.remove_worker
    patches.set(Pool, "remove_worker", lambda self, worker_id, begun: remove(self, worker_id, _ALL_BEGUN))


def _nothing_had_begun(patches: Patches) -> None:
    remove = Pool.remove_worker
    patches.set(Pool, "remove_worker", lambda self, worker_id, begun: remove(self, worker_id, 0))


def _client_does_not_look(patches: Patches) -> None:
    patches.set(ClientDispatcher, "_look_up", lambda self, plan_ids: None)


def _sends_before_it_stores(patches: Patches) -> None:
    def turn_the_wrong_way(self: Loop) -> None:
        self._hear()
        self._assign()
        self._emit(frozenset())
        self._commit()
        self._wind_up()
        self.keep_alive()

    patches.set(Loop, "turn", turn_the_wrong_way)


def _reads_before_it_shuts_out(patches: Patches) -> None:
    """Without the epoch of writes, which keeps those out whose plan was taken over."""
    _no_epoch_alone(patches)
    patches.set(Recovery, "_shut_out", lambda self, world_id, lease, audit: True)


def _recovery_is_content_with_the_dead(patches: Patches) -> None:
    patches.set(Recovery, "_plans_of", lambda self, world_id: {})


def recorded_seeds() -> dict[str, int]:
    """By mutant, a seed that catches it."""
    found: dict[str, int] = json.loads(RECORDED.read_text())
    return found


def record(name: str, seed: int) -> None:
    """This seed catches this mutant."""
    RECORDED.write_text(json.dumps({**recorded_seeds(), name: seed}, indent=2, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Mutant:
    """What is taken out, and a seed in which that is seen."""

    name: str
    without: str
    patch: Patch
    profile: str | None = None
    """Of the seeds in which it is looked for."""
    cover: Patch | None = None
    """What is taken out as well, because it does the same once more: alone, that must not be seen in the seed."""

    def simulate(self, seed: int, trace: Callable[[str], None] | None = None) -> Result:
        """The seed without the mechanism."""
        result = simulate(seed, mutant=self.patch, profile=self.profile, trace=trace)
        if result.violations and self._cover_shows(seed):
            result.violations = []
        return result

    def _cover_shows(self, seed: int) -> bool:
        cover = self.cover
        return cover is not None and bool(simulate(seed, mutant=cover, profile=self.profile).violations)

    def simulate_without(self, seed: int) -> Result:
        """The same seed with nothing taken out."""
        return simulate(seed, profile=self.profile)

    @property
    def seed(self) -> int | None:
        """The recorded one."""
        return recorded_seeds().get(self.name)


MUTANTS: Sequence[Mutant] = (
    Mutant("fence", "the fence in front of every write", _no_fence, "stops"),
    Mutant("observed lease", "leases judged by change, not by the time of day", _lease_by_the_time_of_day),
    Mutant(
        "answered looks",
        "silence counted from the answer of a look",
        _silence_from_the_question,
        "slow database",
    ),
    Mutant(
        "lease at the verdict",
        "declared dead only with the lease that stood still",
        _verdict_on_any_lease,
        "slow database",
    ),
    Mutant("dead man", "the guardian's deadline", _no_dead_man),
    Mutant("lease before work", "nothing begun without a lease", _begins_without_a_lease, "slow database"),
    Mutant("parent death", "workers that die with their supervisor", _workers_outlive_supervisors, "deaths"),
    Mutant("epoch", "the plan's epoch compared by every write", _no_epoch, "stops", _no_fence),
    Mutant(
        "claim guard",
        "claims only of what nobody owns",
        _neither_claim_nor_step_guard,
        "crowd",
        _no_step_guard,
    ),
    Mutant(
        "step guard",
        "steps guarded by state and attempt",
        _neither_claim_nor_step_guard,
        "crowd",
        _claims_what_is_owned,
    ),
    Mutant("commit in doubt: no", "unknown commits looked up (taken for failed)", _doubt_is_no),
    Mutant("commit in doubt: yes", "unknown commits looked up (taken for done)", _doubt_is_yes),
    Mutant("known events", "events known again when they are sent again", _events_are_not_known),
    Mutant("same request", "requests asked again under their own id", _asks_again_under_another_id),
    Mutant("reconciler", "the reconciler", _no_reconciler),
    Mutant("ask again", "requested plans that nobody takes asked for", _nobody_asks_again_for_plans),
    Mutant("not begun", "steps never begun told from those that ran", _all_that_was_sent_had_begun),
    Mutant("begun", "steps that ran told from those never begun", _nothing_had_begun),
    Mutant("client looks", "clients that look into the database", _client_does_not_look),
    Mutant("store, then send", "nothing leaves before it is stored", _sends_before_it_stores),
    Mutant(
        "shut out first",
        "the dead shut out before their plans are read",
        _reads_before_it_shuts_out,
        "stops",
        _no_epoch_alone,
    ),
    Mutant("take over", "a dead world's plans taken over", _recovery_is_content_with_the_dead),
)
