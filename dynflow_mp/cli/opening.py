"""How commands get at a database: to look only, or as a client world that asks executors to do things.

where.looked_at()   store and records, read: nothing is written, no world is registered, no file is made
where.world()       a client world, under the settings of the place, for as long as the command takes
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dynflow_mp.cli.escaping import in_one_line
from dynflow_mp.cli.modules import imported
from dynflow_mp.errors import ConfigError, PersistenceError, SchemaMismatch

if TYPE_CHECKING:
    from dynflow_mp.config import Config
    from dynflow_mp.coordinator.coordinator import Coordinator
    from dynflow_mp.persistence.database import Database
    from dynflow_mp.persistence.store import Store
    from dynflow_mp.reading.library import Library
    from dynflow_mp.reading.wait import Wait
    from dynflow_mp.world.world import World

_UPGRADE = "run: dynflow-mp db upgrade"
ADVICE = {
    "missing": f"there are no tables yet; a world that starts makes them, or {_UPGRADE}",
    "half made": f"their making was interrupted; a world that starts does it again, or {_UPGRADE}",
    "older": f"stop all worlds, then {_UPGRADE}",
    "current": "",
    "newer": "install a newer dynflow_mp",
}
"""What to do about tables that stand so."""

_END_S = 5.0
"""How long a client world of a command may take to end."""
_OF_EXECUTORS: dict[str, Any] = {
    "workers": 0,
    "queues": {},
    "listen": None,
    "eligible": None,
    "auto_execute": False,
    "exit_on_terminate": False,
    "cleaner_max_age_s": None,
}
"""Settings of a place that are meant for its executors, as a client has them."""


class Look(NamedTuple):
    """A database that is only read."""

    config: Config
    database: Database
    store: Store
    library: Library
    coordinator: Coordinator

    def why_waiting(self, plan_id: str) -> list[Wait]:
        """As a world says it: what a plan waits for, first, and each of its steps."""
        from dynflow_mp.maintenance.stuck_plans import why_waiting

        return why_waiting(self.library, self.coordinator, plan_id)


class Where(NamedTuple):
    """The database and the modules that a command was given."""

    database_url: str | None = None
    apps: tuple[str, ...] = ()

    def config(self, **more: Any) -> Config:
        """The settings in force; doubts about them are said on standard error."""
        given = {} if self.database_url is None else {"database_url": self.database_url}
        if self.apps:
            given["apps"] = self.apps  # type: ignore[assignment]
        return config_of({**given, **more})

    @contextmanager
    def looked_at(self, *, actions: bool = True) -> Iterator[Look]:
        """The database, to read; ``actions``: also what is in them, which their classes may present.

        Raises :class:`PersistenceError` for a database that has no plans or other tables.
        """
        from dynflow_mp.actions.named_rules import NamedRules
        from dynflow_mp.coordinator.coordinator import Coordinator
        from dynflow_mp.persistence.store import Store
        from dynflow_mp.reading.library import Library
        from dynflow_mp.redaction import hide_also

        config = self.config()
        hide_also(config.sensitive_keys)
        refuse_missing_file(config)
        with opened(config) as database:
            check_tables(database)
            if actions:
                self._load_apps(config)
            store = Store(database)
            library = Library(store, middleware=NamedRules(config.middleware))
            yield Look(config, database, store, library, Coordinator(database, "nobody"))

    @contextmanager
    def world(self, *, may_make: bool = False) -> Iterator[World]:
        """A client world; ``may_make``: its SQLite file, too. Ctrl-C ends it as well."""
        from dynflow_mp.world import World

        config = self.config(**_OF_EXECUTORS)
        if config.connector == "direct":
            config = self.config(**_OF_EXECUTORS, connector="auto")
        if not may_make:
            refuse_missing_file(config)
        world = World(config)
        try:
            self._load_apps(config)
            yield world
        finally:
            world.terminate(timeout=_END_S)
            world.terminated.wait(2 * _END_S)

    def _load_apps(self, config: Config) -> None:
        """Those that were named here must be there; without those that the settings name much can be done."""
        for app in config.apps:
            try:
                imported(app, f"--app {app}" if self.apps else f"apps: {app}")
            except ConfigError as error:
                if self.apps:
                    raise
                click.echo(
                    f"dynflow-mp: {in_one_line(str(error))}; what its classes hide may be shown", err=True
                )


def config_of(settings: dict[str, Any]) -> Config:
    """Settings from these, the environment and a file. Raises :class:`ConfigError`."""
    from dynflow_mp.config import Config

    if settings.get("database_url") == "":
        raise ConfigError("--database is empty; it wants an SQLAlchemy URL such as sqlite:///dynflow.db")
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        config = Config.load(settings)
    for doubt in doubts:
        click.echo(f"dynflow-mp: {doubt.message}", err=True)
    return config


def missing_file(config: Config) -> str | None:
    """The URL as it may be shown, if it is of an SQLite file that is not there: to open it would make it."""
    from dynflow_mp.persistence.opening import parsed_url, shown

    url = parsed_url(config.database_url)
    if url.get_backend_name() != "sqlite" or str(url.database).startswith(":memory:"):
        return None
    path = Path(url.database or "")
    try:
        return None if path.exists() or not path.parent.is_dir() else shown(url)
    except OSError:  # nobody may look there: whoever opens it says so
        return None


def refuse_missing_file(config: Config) -> None:
    """Raise :class:`PersistenceError` where nothing has been stored yet."""
    missing = missing_file(config)
    if missing is not None:
        raise PersistenceError(
            f"{missing}: there is no such file, so nothing is stored there; --database names another",
            "missing",
        )


@contextmanager
def opened(config: Config, *, to_change: bool = False) -> Iterator[Database]:
    """A database as its URL says, whatever its tables; ``to_change``: those may be changed, however long it takes."""
    from dynflow_mp.persistence.database import Database

    with _remarks_untold():
        database = Database(
            config.database_url,
            max_payload=config.max_payload,
            hurried=not to_change,
            look_only=not to_change,
        )
    try:
        yield database
    finally:
        database.close()


def check_tables(database: Database) -> None:
    """Raise :class:`SchemaMismatch` unless the tables are the ones this version works with."""
    from dynflow_mp.persistence.schema import REVISIONS, Standing, look

    standing, version = look(database)
    if standing is Standing.CURRENT:
        return
    of_version = f" of version {version}" if version else ""
    raise SchemaMismatch(
        f"{database.url_text}: tables{of_version}: {standing.value}; "
        f"this dynflow_mp works with version {REVISIONS[-1]}: {ADVICE[standing.value]}",
        "unsuitable",
    )


@contextmanager
def _remarks_untold() -> Iterator[None]:
    """What the server's settings lack is told as text, once, and not in the log as well."""
    log = logging.getLogger("dynflow_mp.persistence")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
