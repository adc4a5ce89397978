"""What a world is made of, and in which order it is opened.

    storage ─▶ record ─▶ clock ─▶ connector, client dispatcher ─▶ with workers: core
      ─▶ listening ─▶ the record says that work may come ─▶ liveness, recovery, reconciler

Each part is closed in the opposite order: see :class:`~dynflow_mp.world.ending.Ending`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from dynflow_mp.actions.named_rules import NamedRules
from dynflow_mp.clock import Clock
from dynflow_mp.config import Config
from dynflow_mp.connectors.connector import Connector
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import DEGRADED, DelayedExecutorLock
from dynflow_mp.director.events import SUB_PLANS
from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.instructions import SendEvent
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.errors import ConfigError, DynflowError, WorldFenced
from dynflow_mp.executor.open_files import make_room_for
from dynflow_mp.maintenance.amendments import Amendments
from dynflow_mp.maintenance.cleaner import Cleaner
from dynflow_mp.maintenance.dead_letters import DeadLetters
from dynflow_mp.maintenance.directory import WorldDirectory
from dynflow_mp.maintenance.event_post import EventPost
from dynflow_mp.maintenance.frozen_writers import FrozenWriters
from dynflow_mp.maintenance.heirs import Heirs
from dynflow_mp.maintenance.hook_caller import HookCaller
from dynflow_mp.maintenance.leadership import led_by
from dynflow_mp.maintenance.liveness import Liveness
from dynflow_mp.maintenance.reconciler import Reconciler
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.sub_plan_endings import SubPlanEndings
from dynflow_mp.maintenance.unowned import UnownedPlans
from dynflow_mp.maintenance.watched_plans import WatchedPlans
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import Done, Drain, Envelope, LookAtDelayed
from dynflow_mp.persistence.database import Database, write_locks
from dynflow_mp.persistence.envelopes import EnvelopeStore
from dynflow_mp.persistence.hook_store import HookStore
from dynflow_mp.persistence.posted_events import PostedEvent, PostedEvents
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.library import Library
from dynflow_mp.redaction import hide_also
from dynflow_mp.telemetry import logger
from dynflow_mp.world.budget import Budget
from dynflow_mp.world.ending import CLOSE_S, Ending, Phase
from dynflow_mp.world.own_record import OwnRecord

if TYPE_CHECKING:
    from dynflow_mp.connectors.keys import KeyPair
    from dynflow_mp.executor.core import Core
    from dynflow_mp.maintenance.delayed_executor import DelayedExecutor

log = logger("world.parts")

_MARK_S = 2.0
_ROUTE_S = 1.0


class Parts:
    """The parts of one world, wired to each other; its connector delivers to it (a ``Receiver``).

    ``fenced`` is called when another world has declared this one dead.
    """

    def __init__(
        self, world_id: str, config: Config, ending: Ending, fenced: Callable[[WorldFenced], None]
    ) -> None:
        self.world_id = world_id
        self.clock = Clock()
        self.core: Core | None = None
        """Only with workers."""
        self.middleware = NamedRules(config.middleware)
        self.hook_caller: HookCaller | None = None
        """Only with workers."""
        self.delayed_executor: DelayedExecutor | None = None
        """Only with workers."""
        self.event_post: EventPost | None = None
        """Only with workers."""
        self.liveness: Liveness | None = None
        self.end_world: Callable[[], object] = lambda: None
        """Has the world end, as far as its settings give running steps time; must not wait."""
        self._config, self._ending, self._fenced = config, ending, fenced

    # -- opening -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Storage, then who we are, then the ways in and out, then workers; only then may others come."""
        hide_also(self._config.sensitive_keys)
        if self._config.pools:
            # First of all: without them everything else fails with words of its own.
            make_room_for(sum(self._config.pools.values()))
        self._open_storage()
        self.clock.start()
        self._ending.on_close("clock", self.clock.stop)
        self._open_client()
        if self._config.pools:
            self._open_executor()
        self.connector.start_listening(self)
        self._ending.on_close("connector", lambda: self.connector.stop_listening(self))
        self._open_liveness()
        self._open_maintenance()

    def _open_storage(self) -> None:
        if self._config.pools:
            # Before the database: to open it is to wait for whoever writes.
            frozen_writers = FrozenWriters(write_locks(self._config.database_url))
            frozen_writers.start()
            self._ending.on_close("frozen writers", frozen_writers.stop)
        database = Database(self._config.database_url, max_payload=self._config.max_payload)
        self._ending.on_close("database", database.close)
        prepare(database)
        self.store = Store(database)
        self.schedule = Schedule(database)
        self.coordinator = Coordinator(database, self.world_id, lambda: not self._ending.begun)
        self.library = Library(
            self.store, self.coordinator.fence, middleware=self.middleware, world_id=self.world_id
        )
        self.amendments = Amendments(self.store, self.coordinator, self._config.max_payload)
        self.connector = _connector(self._config, self.coordinator, database)
        # Others let nobody in whose key they have not read, so the record has it from the start.
        self.record = OwnRecord(self.coordinator, self._config, self._advertised, self.connector.public_key)
        self.record.register()
        self._ending.on_close("record", self._delete_record)

    def _delete_record(self) -> None:
        if self._ending.fenced is None:
            self.record.delete()

    def _open_client(self) -> None:
        self.client = ClientDispatcher(
            self.world_id,
            self.connector,
            WatchedPlans(self.store, self.coordinator),
            self.library.load_execution_plan,
            self._executor_of,
            stop_unowned=self._unowned_plans().halt,
            add_audit=self._add_audit,
            no_executor_timeout_s=self._config.no_executor_timeout_s,
            reask_interval_s=self._config.reask_interval_s,
            max_open_requests=self._config.max_open_requests,
        )
        self.client.start()
        self._ending.on_close("client dispatcher", lambda: self.client.stop("the world is terminated"))

    def _executor_of(self, plan_id: str) -> str | None:
        # Not for long: the client dispatcher has others to look after, and asks again.
        lock = self.coordinator.execution_lock(plan_id, patience_s=_ROUTE_S)
        return None if lock is None else lock.world_id

    def _add_audit(self, audit: Audit) -> None:
        self.store.add_audit(audit, self.coordinator.fence)

    def _unowned_plans(self) -> UnownedPlans:
        # What is opened later is looked up when it is needed.
        return UnownedPlans(
            self.store,
            self.coordinator,
            lambda answer: self.connector.send(answer),
            lambda world_id: self.recovery.invalidate(world_id),
            lambda order: self._sub_plan_endings().end(order),
        )

    def _sub_plan_endings(self) -> SubPlanEndings:
        return SubPlanEndings(self.store, self.coordinator.fence, self.client.cancel, self._tell_of_sub_plans)

    def _open_executor(self) -> None:
        # Not imported at the top: a client world needs no worker processes.
        from dynflow_mp.dispatchers.executor_dispatcher import ExecutorDispatcher
        from dynflow_mp.executor.core import Core
        from dynflow_mp.executor.outside import Outside
        from dynflow_mp.executor.setup import core_settings

        endings = self._sub_plan_endings()
        core = self.core = Core(
            core_settings(self.world_id, self._config),
            self.store,
            self.coordinator,
            ExecutorDispatcher(self.world_id),
            Outside(
                send=self.connector.send,
                send_event=self._send_event,
                end_sub_plans=endings.carry_out,
                plan_stopped=self._plan_stopped,
                hooks_noted=self._hooks_noted,
                condition_changed=self._condition_changed,
                fenced=self._fenced,
            ),
        )
        self._ending.on_close("sub-plan endings", endings.stop)
        self._ending.on_close("core", lambda: core.stop(0.0))
        with self._lease_kept():
            core.start()

    def _send_event(self, order: SendEvent) -> None:
        """To a step of another plan: nobody waits for its answer, and a hint may be lost."""
        if order.id is not None and self.event_post is not None:
            self.event_post.post(order)
        elif order.id is None:
            event = order.event
            self.client.event(event.plan_id, event.step_id, event.data, event.optional, event.delay_s)

    def _bring(self, event: PostedEvent, delay_s: float | None) -> Future[bool]:
        return self.client.event(
            event.to_plan_id, event.to_step_id, event.data, event.optional, delay_s, event.id
        )

    def _hooks_noted(self) -> None:
        if self.hook_caller is not None:
            self.hook_caller.wake()

    def _condition_changed(self) -> None:
        """Others shall not have to wait for the next renewal to learn of it."""
        if self.liveness is not None:
            self.liveness.renew_at_once()

    def _plan_stopped(self) -> None:
        if self.delayed_executor is not None:
            self.delayed_executor.plan_stopped()

    def _tell_of_sub_plans(self, plan_id: str, step_id: int) -> None:
        self.client.event(plan_id, step_id, SUB_PLANS, optional=True)

    @contextmanager
    def _lease_kept(self) -> Iterator[None]:
        """While workers import what they need, which may take longer than a lease lasts. Who is declared dead all the
        same finds out with the next renewal, the first that counts.
        """
        liveness = Liveness(
            self.coordinator,
            self._config.lease_renewal_s,
            lambda: True,
            self.record.meta,
            lambda error: log.warning("%s", error, extra={"action": "fenced_at_start"}),
        )
        liveness.start()
        try:
            yield
        finally:
            liveness.stop()

    def _open_liveness(self) -> None:
        """From the first renewal on, others see that this world may be used."""
        liveness = self.liveness = Liveness(
            self.coordinator,
            self._config.lease_renewal_s,
            self._healthy,
            self.record.meta,
            self._fenced,
            lambda begun: None if self.core is None else self.core.lease_renewed(begun),
        )
        liveness.renew()
        liveness.start()
        self._ending.on_close("liveness", liveness.stop)

    def _open_maintenance(self) -> None:
        config = self._config
        directory = WorldDirectory(self.coordinator)
        core = self.core
        heirs = (
            Heirs(self.connector, directory, None)
            if core is None
            else Heirs(self.connector, directory, self.receive, core.offer)
        )
        self.recovery = Recovery(
            self.store,
            self.coordinator,
            self.connector.send,
            heirs.go_on,
            self._look_for_what_was_left,
            Conduct(config.auto_rescue),
        )
        if core is not None:
            reconciler = Reconciler(
                self.store,
                self.coordinator,
                self.recovery,
                heirs.ask_any,
                heirs.offer,
                self._fenced,
                interval_s=config.reconcile_interval_s,
                lease_ttl_s=config.lease_ttl_s,
                take=heirs.take,
                held=lambda: core.plan_ids,
                deleted=core.drop_deleted,
                stranded=core.give_up_stranded,
                tidy=DeadLetters(EnvelopeStore(self.store.database), self.coordinator).clear,
            )
            reconciler.start()
            self._ending.on_close("reconciler", reconciler.stop)
            self._open_delayed_executor(heirs)
            self._open_hook_caller()
            self._open_event_post()
            self._open_cleaner()

    def _open_delayed_executor(self, heirs: Heirs) -> None:
        from dynflow_mp.maintenance.delayed_executor import DelayedExecutor
        from dynflow_mp.maintenance.late_planning import LatePlanning

        core = self.core
        assert core is not None  # a world with workers has one
        most = 2 * sum(self._config.pools.values())  # while one is stored, its worker has the next
        delayed = self.delayed_executor = DelayedExecutor(
            self.schedule,
            self.coordinator,
            lambda wake: LatePlanning(self.schedule, self.coordinator, core.run_errand, wake, most),
            heirs.ask_any,
            self._fenced,
            lambda: not core.ended.is_set() and core.degraded is None and not heirs.leaves_it_to_others(),
            poll_s=self._config.delayed_poll_s,
        )
        delayed.start()
        self._ending.on_close("delayed executor", delayed.stop)

    def _open_hook_caller(self) -> None:
        core = self.core
        assert core is not None  # a world with workers has one
        hooks = HookStore(self.store.database)
        caller = HookCaller(hooks, self.coordinator, core.run_errand, self._config.reconcile_interval_s)
        self.hook_caller = caller
        caller.start()
        self._ending.on_close("hooks", caller.stop)

    def _open_event_post(self) -> None:
        post = self.event_post = EventPost(
            PostedEvents(self.store.database),
            self.coordinator,
            self._bring,
            self._config.reconcile_interval_s,
        )
        post.start()
        self._ending.on_close("event post", post.stop)

    def _open_cleaner(self) -> None:
        if self._config.cleaner_max_age_s is None:
            return
        cleaner = Cleaner(
            self.store,
            self.coordinator,
            self._fenced,
            max_age_s=self._config.cleaner_max_age_s,
            interval_s=self._config.cleaner_interval_s,
        )
        cleaner.start()
        self._ending.on_close("cleaner", cleaner.stop)

    def _look_for_what_was_left(self) -> None:
        self._look_for_scheduled()
        if self.event_post is not None:
            self.event_post.look()

    def _look_for_scheduled(self) -> None:
        if self.delayed_executor is not None:
            self.delayed_executor.look()

    def look_at_delayed(self) -> None:
        """Plans were scheduled or let go here: whoever has them planned shall look at once, if it can be told."""
        self._look_for_scheduled()
        if self.delayed_executor is None or not self.delayed_executor.leads:
            self._tell_the_leader()

    def _tell_the_leader(self) -> None:
        try:
            leader = led_by(self.coordinator, DelayedExecutorLock(self.world_id))
            if leader is not None and leader != self.world_id:
                request_id = f"{UNATTENDED}{self.world_id}-look"
                self.connector.send(Envelope(self.world_id, leader, request_id, LookAtDelayed()))
        except DynflowError as error:
            log.debug("it looks by itself soon: %s", error, extra={"action": "leader_not_told"})

    # -- what the connector sees -------------------------------------------------------------------

    @property
    def takes_work(self) -> bool:
        """Whether this is an executor that others may use."""
        core = self.core
        ready = core is not None and core.degraded is None and not self._ending.begun
        return ready and (self._config.eligible is not False or isinstance(self.connector, DirectConnector))

    def receive(self, envelope: Envelope) -> None:
        """An envelope has come; only a note is left here."""
        if not envelope.is_request:
            self.client.receive(envelope)
        elif isinstance(envelope.message, LookAtDelayed):
            self._look_for_scheduled()
        elif isinstance(envelope.message, Drain) and self._is_supervisor:
            self._drain_asked(envelope)
        elif self.core is not None:
            self.core.ask(envelope)

    @property
    def _is_supervisor(self) -> bool:
        """Whether this world is all that its program is for: then others may end it."""
        return self.core is not None and self._config.eligible is True

    def _drain_asked(self, envelope: Envelope) -> None:
        log.warning(
            "world %s asks for the end of this one",
            envelope.sender_id,
            extra={"action": "drain_asked", "world": envelope.sender_id},
        )
        self.connector.send(envelope.answer(self.world_id, Done()))
        self.end_world()

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        """An envelope of ours went nowhere."""
        if envelope.is_request and not isinstance(envelope.message, LookAtDelayed):
            self.client.undeliverable(envelope, error)

    # -- what others see ---------------------------------------------------------------------------

    def _advertised(self) -> dict[str, Any]:
        endpoint = self.connector.endpoint
        if self.core is None:
            return {} if endpoint is None else {"endpoint": endpoint}
        if self.core.failure is not None:
            return {}
        offered = {
            "endpoint": endpoint,
            "takes_work": self.takes_work and endpoint is not None,
            "free": self.core.free_slots(),
        }
        degraded = self.core.degraded
        return offered if degraded is None else {**offered, DEGRADED: degraded}

    def _healthy(self) -> bool:
        if self.core is None:
            return True
        return monotonic() - self.core.last_turn < max(3 * self._config.lease_renewal_s, 10.0)

    # -- the end -----------------------------------------------------------------------------------

    def stop_working(self, budget: Budget) -> list[Phase]:
        """What comes before everything is closed: no new work; running steps get their time, plans are let go."""
        core = self.core
        if core is None:
            return []
        phases = [Phase("take no new work", partial(self._refuse_work, core), partial(budget.share, CLOSE_S))]
        if self._ending.fenced is None:
            # Running steps do not wait until a database is there again.
            mark_s = partial(budget.share, _MARK_S)
            phases.append(Phase("mark as draining", self.record.mark_draining, mark_s, matters=False))
        phases.append(Phase("drain", partial(self._drain, core, budget), budget.of_executor, core.abandon))
        return phases

    def _refuse_work(self, core: Core) -> None:
        # First of all here: by the time others read in the record that this world drains, it does.
        core.begin_to_stop()
        self.connector.stop_receiving_new_work(self)

    def _drain(self, core: Core, budget: Budget) -> None:
        core.stop(budget.of_steps(self._config.drain_grace_s), budget.of_release())
        if core.failure is not None and self._ending.fenced is None:
            raise core.failure

    def hurry(self, seconds: float) -> None:
        """Asked again to end, less patiently."""
        self._ending.hurry(seconds)
        if self.core is not None and self._ending.budget is not None:
            budget = self._ending.budget
            self.core.hurry(budget.of_steps(self._config.drain_grace_s), budget.of_release())


def _connector(config: Config, coordinator: Coordinator, database: Database) -> Connector:
    wanted = config.connector
    if isinstance(wanted, Connector):
        return wanted
    embedded = bool(config.pools) and config.listen is None and not config.eligible
    if wanted == "direct" or (wanted == "auto" and embedded):
        return DirectConnector()
    # Not imported at the top: an embedded world needs no way to other worlds.
    if wanted == "database":
        from dynflow_mp.connectors.database import TRANSPORT, DatabaseConnector

        directory = WorldDirectory(coordinator, {TRANSPORT})
        return DatabaseConnector(database, directory, poll_s=config.connector_poll_s)
    if wanted in ("auto", "zeromq"):
        from dynflow_mp.connectors.zeromq import TRANSPORTS, ZeroMQConnector

        trusted = config.curve_trusted_keys_file
        return ZeroMQConnector(
            WorldDirectory(coordinator, TRANSPORTS, None if trusted is None else Path(trusted)),
            listen=config.listen,
            keys=_keys(config),
            advertise_host=config.advertise_host,
        )
    raise ConfigError(f"connector={wanted!r}: must be auto, direct, zeromq, database or a connector")


def _keys(config: Config) -> KeyPair | None:
    """The pair in the file that is named, else a new one; none where ZeroMQ has no CURVE: then there is ipc only."""
    from dynflow_mp.connectors.keys import KeyPair, trusted_keys, why_no_curve

    if config.curve_trusted_keys_file is not None:
        trusted_keys(Path(config.curve_trusted_keys_file))  # what is wrong with it is said at the start
    if config.curve_key_file is not None:
        return KeyPair.from_file(Path(config.curve_key_file))
    return None if why_no_curve() else KeyPair.new()
