"""Every setting of a world: one frozen value, complete and checked before anything starts.

Strength, strongest first: keywords, ``DYNFLOW_…`` environment variables, ``dynflow.toml`` or
``[tool.dynflow_mp]`` of ``pyproject.toml`` in the working directory, defaults.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any
from warnings import catch_warnings, simplefilter, warn

from dynflow_mp import failpoints
from dynflow_mp.errors import ConfigError

_PREFIX = "DYNFLOW_"
_DEFAULT_QUEUE = "default"
_BESIDES_STEPS_S = 30.0
_MAX_PAYLOAD = 4 * 1024 * 1024
_LEAST_MEMORY = 64 * 1024 * 1024
"""A worker that has done nothing yet has half of it: less would replace workers without end."""
MAX_WORKERS = 512
"""More processes than that in one queue are a slip of the keyboard, and would take the machine down."""


def _default_meta() -> dict[str, Any]:
    return {"hostname": socket.gethostname(), "pid": os.getpid()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one world. Built from keywords alone it reads nothing else; see :meth:`load`.

    Raises :class:`ConfigError`, naming the setting, for a value that cannot work.
    """

    database_url: str = field(default="sqlite:///dynflow.db", repr=False)
    """Where plans are kept: an SQLAlchemy URL. Not shown, for it may hold a password."""
    database_wait_s: float = 30.0
    """How long a starting supervisor waits for a database server that does not answer."""
    workers: int = 0
    """Worker processes of the queue ``default``; 0 makes a client world unless ``queues`` names some."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Further named pools and their numbers of worker processes."""
    apps: tuple[str, ...] = ()
    """Modules with actions that workers import; empty: the modules of all registered actions."""
    middleware: tuple[str, ...] = ()
    """Around all actions of this world: classes of middleware, or rules about them in a module's name, as ``module:name``.

    In Python the classes themselves may be given. Every world that plans, runs or shows the same plans needs the same.
    """
    connector: Any = "auto"
    """``direct``, ``zeromq``, ``database``, ``auto`` (embedded worlds direct, all others zeromq), or a connector object.

    Worlds on one database reach each other only by the same kind.
    """
    connector_poll_s: float = 0.2
    """How often, at the most seldom, the database connector looks for messages where it is not told of them."""
    listen: str | None = None
    """Endpoint of an executor for other worlds; None: an ipc socket in a private directory."""
    advertise_host: str | None = None
    """The host name or address at which other worlds reach this one, if it is not the one in ``listen``."""
    curve_key_file: str | None = None
    """A secret key that ``dynflow-mp keys generate`` made; None: new keys each time the world starts."""
    curve_trusted_keys_file: str | None = None
    """Public keys, one a line: over TCP only worlds that have one of them; None: all worlds in the database."""
    eligible: bool | None = None
    """Whether others' plans may run here; None: yes, except in embedded worlds."""
    meta: Mapping[str, Any] = field(default_factory=_default_meta)
    """What the world record says about this world."""
    auto_execute: bool = False
    auto_rescue: bool = True
    """Whether the rescue strategies of failed steps are carried out by themselves; else each failure pauses its plan."""
    auto_terminate: bool = True
    """Terminate at interpreter exit."""
    exit_on_terminate: bool = False
    """Exit the process once terminated (the supervisor program sets it)."""
    termination_timeout_s: float | None = None
    """How long ending the world may take, all together; None: ``drain_grace_s`` and half a minute more."""
    start_timeout_s: float = 30.0
    """How long a worker process may take to import the modules with actions."""
    drain_grace_s: float = 30.0
    """How long running steps may go on when the world ends, as far as ``termination_timeout_s`` allows."""
    no_executor_timeout_s: float = 5.0
    reask_interval_s: float = 10.0
    """How often a client looks after requests it has no answer to."""
    max_open_requests: int = 50_000
    """Most futures that are open at a time; who asks for more waits, for half a minute at the most."""
    lease_renewal_s: float = 5.0
    lease_ttl_s: float = 60.0
    """How long an executor of another host must be silent until others take its plans over."""
    on_lease_loss: str = "kill"
    """What becomes of steps while this executor cannot renew its lease, until others may take its plans over: ``kill``
    or ``finish``. Then a step may run here and elsewhere at once; what it did here is not recorded."""
    reconcile_interval_s: float = 5.0
    """How often an executor looks for dead worlds and for requested plans nobody takes."""
    delayed_poll_s: float = 15.0
    """How often the executor that has scheduled plans planned looks for them, and others whether there is one."""
    errand_timeout_s: float = 300.0
    """How long a worker may be kept by what is no step: planning a scheduled plan, a hook, a rescue method."""
    cleaner_max_age_s: float | None = None
    """Stopped plans that ended longer ago are deleted; None: none ever is."""
    cleaner_interval_s: float = 3600.0
    """How often an executor looks for plans to delete, where ``cleaner_max_age_s`` is given."""
    sensitive_keys: tuple[str, ...] = ()
    """Further keys whose values are not shown (in logs, errors, on screens): those that hold one of these texts."""
    max_payload: int = _MAX_PAYLOAD
    """Largest input or output of one action (bytes, encoded)."""
    max_credit: int = 512
    """Most steps a worker may hold, sent and not answered."""
    max_steps_per_worker: int | None = None
    """After so many steps another worker takes its place, a tenth more or less; None: never."""
    max_worker_memory: int | None = None
    """A worker that has more in memory (bytes, resident) after a step is replaced; None: it is not."""
    max_worker_age_s: float | None = None
    """So old a worker may become, a tenth more or less; None: as old as its world."""
    max_worker_deaths: int = 20
    """So many deaths of workers of one queue in a minute (and 5 for each worker) make an executor degraded."""

    def __post_init__(self) -> None:
        for name, what, good in _CHECKS:
            value = getattr(self, name)
            if not good(value):
                raise ConfigError(f"{name}={_shown(name, value)}: {what}")
        for name in _TEXTS:
            for text in _texts_in(getattr(self, name)):
                _check_text(name, text)
        _check_modules(self.apps)
        if self.workers and _DEFAULT_QUEUE in self.queues:
            raise ConfigError(f"queues={self.queues!r}: {_DEFAULT_QUEUE!r} has its number by workers already")
        if self.pools and self.lease_renewal_s > self.lease_ttl_s / 2:
            raise ConfigError(
                f"lease_renewal_s={self.lease_renewal_s!r}: must be at most half of lease_ttl_s={self.lease_ttl_s!r}, "
                "or steps would be killed between two renewals"
            )
        if self.connector == "database" and self.listen is not None:
            raise ConfigError(
                f"listen={self.listen!r}: with connector='database' nobody listens anywhere; leave one of them out"
            )
        object.__setattr__(self, "apps", tuple(self.apps))
        object.__setattr__(self, "middleware", tuple(map(_place, self.middleware)))
        object.__setattr__(self, "queues", dict(self.queues))
        object.__setattr__(self, "sensitive_keys", tuple(self.sensitive_keys))

    @property
    def pools(self) -> dict[str, int]:
        """Every queue of this world and its number of workers; empty for a client world."""
        pools = {_DEFAULT_QUEUE: self.workers} if self.workers else {}
        pools.update(self.queues)
        return pools

    @property
    def termination_budget_s(self) -> float:
        """``termination_timeout_s``, or what it is when it is not given."""
        return self.termination_timeout_s or self.drain_grace_s + _BESIDES_STEPS_S

    @classmethod
    def load(
        cls,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Config:
        """The settings from keywords, environment and file together, in that order of strength."""
        given = dict(settings or {})
        _refuse_unknown(given, "setting")
        environment = os.environ if environment is None else environment
        merged: dict[str, Any] = {}
        merged.update(_from_file(directory or Path()))
        merged.update(_from_environment(environment))
        merged.update(given)
        return cls(**merged)

    @classmethod
    def origins(
        cls, environment: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> dict[str, str]:
        """Which variable or file says the settings that :meth:`load` finds, by their names; no other setting is in it."""
        environment = os.environ if environment is None else environment
        path, found = _file_with_settings(directory or Path())
        with catch_warnings():
            simplefilter("ignore")  # load has told them
            variables = _from_environment(environment)
        return {**dict.fromkeys(found, str(path)), **{name: _as_variable(name) for name in variables}}


_NUMBER = (int, float)
_LONGEST_S = 100_000_000
"""Three years: longer waits are a slip, and infinite ones are more than the system's clocks take."""


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= low


def _workers(low: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= MAX_WORKERS


def _seconds(value: Any) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and 0 < value <= _LONGEST_S


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_queues(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and name and _workers(1)(count) for name, count in value.items()
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value)


def _is_place(value: Any) -> bool:
    if isinstance(value, str):
        module, colon, name = value.partition(":")
        return bool(colon) and all(module.split(".")) and all(name.split("."))
    return isinstance(value, type) and "<locals>" not in value.__qualname__


def _place(value: Any) -> str:
    """Where a worker finds it: settings are plain data, and a worker has only its modules."""
    return value if isinstance(value, str) else f"{value.__module__}:{value.__qualname__}"


def _is_host(value: Any) -> bool:
    return value is None or (
        isinstance(value, str) and bool(value) and not set(value) & set("/*[]@ ") and value.count(":") != 1
    )


def _is_path(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value) and "\0" not in value)


_CONNECTORS = ("auto", "direct", "zeromq", "database")
_LONGEST_POLL_S = 5.0
"""Half of the time after which a message that nobody has taken comes back to its sender."""


def _is_poll(value: Any) -> bool:
    return _seconds(value) and 0.001 <= value <= _LONGEST_POLL_S


def _is_connector(value: Any) -> bool:
    return value in _CONNECTORS if isinstance(value, str) else value is not None


_A_SPAN = f"must be a number of seconds above 0, at most {_LONGEST_S:,}"
_CHECKS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    (
        "database_url",
        "must be an SQLAlchemy URL such as sqlite:///dynflow.db",
        lambda value: isinstance(value, str) and "://" in value,
    ),
    ("database_wait_s", _A_SPAN, _seconds),
    ("workers", f"must be a whole number from 0 to {MAX_WORKERS}", _workers(0)),
    ("queues", f"must map queue names to numbers of workers from 1 to {MAX_WORKERS}", _is_queues),
    ("apps", "must be a list of module names", _is_names),
    (
        "middleware",
        "must be a list of classes, or of places such as shop.audit:Audit",
        lambda value: isinstance(value, (list, tuple)) and all(map(_is_place, value)),
    ),
    ("connector", "must be auto, direct, zeromq, database or a connector", _is_connector),
    (
        "connector_poll_s",
        f"must be a number of seconds from 0.001 to {_LONGEST_POLL_S:g}",
        _is_poll,
    ),
    (
        "listen",
        "must be an endpoint such as tcp://127.0.0.1:5555",
        lambda value: value is None or "://" in str(value),
    ),
    ("advertise_host", "must be a host name or an address without a port", _is_host),
    ("curve_key_file", "must be the path of a file", _is_path),
    ("curve_trusted_keys_file", "must be the path of a file", _is_path),
    ("eligible", "must be true, false or not given", lambda value: value is None or _is_bool(value)),
    ("meta", "must be a mapping", lambda value: isinstance(value, Mapping)),
    ("auto_execute", "must be true or false", _is_bool),
    ("auto_rescue", "must be true or false", _is_bool),
    ("auto_terminate", "must be true or false", _is_bool),
    ("exit_on_terminate", "must be true or false", _is_bool),
    (
        "termination_timeout_s",
        f"{_A_SPAN}, or not given",
        lambda value: value is None or _seconds(value),
    ),
    ("start_timeout_s", _A_SPAN, _seconds),
    ("drain_grace_s", _A_SPAN, _seconds),
    ("no_executor_timeout_s", _A_SPAN, _seconds),
    ("reask_interval_s", _A_SPAN, _seconds),
    ("max_open_requests", "must be a whole number from 1", _whole(1)),
    ("lease_renewal_s", _A_SPAN, _seconds),
    ("lease_ttl_s", _A_SPAN, _seconds),
    ("on_lease_loss", "must be kill or finish", lambda value: value in ("kill", "finish")),
    ("reconcile_interval_s", _A_SPAN, _seconds),
    ("delayed_poll_s", _A_SPAN, _seconds),
    ("errand_timeout_s", _A_SPAN, _seconds),
    (
        "cleaner_max_age_s",
        f"{_A_SPAN}, or not given",
        lambda value: value is None or _seconds(value),
    ),
    ("cleaner_interval_s", _A_SPAN, _seconds),
    ("sensitive_keys", "must be a list of texts", _is_names),
    ("max_payload", "must be a whole number of bytes from 1024", _whole(1024)),
    ("max_credit", "must be a whole number from 1", _whole(1)),
    (
        "max_steps_per_worker",
        "must be a whole number from 1, or not given",
        lambda value: value is None or _whole(1)(value),
    ),
    (
        "max_worker_memory",
        f"must be a whole number of bytes from {_LEAST_MEMORY:,}, or not given",
        lambda value: value is None or _whole(_LEAST_MEMORY)(value),
    ),
    ("max_worker_age_s", f"{_A_SPAN}, or not given", lambda value: value is None or _seconds(value)),
    ("max_worker_deaths", "must be a whole number from 1", _whole(1)),
)


_TEXTS = ("database_url", "queues", "apps", "middleware", "connector", "listen")
_LONGEST_TEXT = 4096
"""No path, URL or name of a module is longer, and what is would fill the log."""


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        yield from (text for text in value if isinstance(text, str))


def _check_text(name: str, text: str) -> None:
    """What no file, host or module can be called; what is said about it deep in some library helps nobody."""
    if len(text) > _LONGEST_TEXT:
        raise ConfigError(
            f"{name}={_shown(name, text)}: {len(text):,} characters are more than {_LONGEST_TEXT:,}"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name}={_shown(name, text)}: is not valid UTF-8") from None
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ConfigError(f"{name}={_shown(name, text)}: has control characters")


def _check_modules(apps: Iterable[str]) -> None:
    """Names of files are the usual slip; what is said about them when they are imported helps nobody."""
    for app in apps:
        if "/" in app or app.endswith(".py"):
            name = PurePath(app).stem
            raise ConfigError(
                f"apps: {app!r} names a file; name the module, {name!r}, and have its directory in PYTHONPATH"
            )
        if not all(app.split(".")):
            raise ConfigError(f"apps: {app!r} is not a module's full name such as shop.orders")


_MOST_SHOWN = 200


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _shown(name: str, value: Any) -> str:
    if name == "database_url" and value:
        return "***"
    shown = repr(value)
    return _cut(shown)


def _names() -> list[str]:
    return [setting.name for setting in fields(Config)]


def _refuse_unknown(settings: Mapping[str, Any], what: str) -> None:
    for name in settings:
        if name not in _names():
            raise ConfigError(f"unknown {what} {_shown('', name)}{_hint(str(name))}")


def _hint(name: str, spelled: Callable[[str], str] = repr) -> str:
    if len(name) > _MOST_SHOWN:
        return ""
    close = difflib.get_close_matches(name, _names(), n=1)
    return f"; did you mean {spelled(close[0])}?" if close else ""


_LARGEST_FILE = 1024 * 1024


def _from_file(directory: Path) -> dict[str, Any]:
    return _file_with_settings(directory)[1]


def _file_with_settings(directory: Path) -> tuple[Path | None, dict[str, Any]]:
    """The file that counts, and what it says; none, and nothing, where there is no such file."""
    for name, tables in (("dynflow.toml", ()), ("pyproject.toml", ("tool", "dynflow_mp"))):
        path = directory / name
        try:
            if not path.exists():
                continue
        except OSError as error:  # a directory that this user may not look into, as after sudo
            raise ConfigError(f"{path}: cannot be looked for: {error.strerror}") from error
        text = _text_of(path)
        found = _table(path, text, tables)
        if found:
            for key in found:
                _check_in_file(path, text, key, found[key])
            return path, found
    return None, {}


def _text_of(path: Path) -> str:
    if not path.is_file():
        raise ConfigError(f"{path}: is not a file")
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{path}: has more than {_LARGEST_FILE:,} bytes; that is no file of settings")
    try:
        # Editors of other systems begin a file with a mark, and end lines with two characters.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: is not valid UTF-8") from error


def _table(path: Path, text: str, tables: Iterable[str]) -> dict[str, Any]:
    try:
        found: Any = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from error
    where = ""
    for table in tables:
        found = found.get(table, {})
        where = f"{where}.{table}".removeprefix(".")
        if not isinstance(found, dict):
            raise ConfigError(f"{path}{_line_of(text, table)}: {where} must be a table, [{where}]")
    return dict(found)


def _check_in_file(path: Path, text: str, key: str, value: Any) -> None:
    if key not in _names():
        raise ConfigError(f"{path}{_line_of(text, key)}: unknown setting {key!r}{_hint(key)}")
    for name, what, good in _CHECKS:
        if name == key and not good(value):
            raise ConfigError(f"{path}{_line_of(text, key)}: {key}={_shown(key, value)}: {what}")


def _line_of(text: str, key: str) -> str:
    """Where a key stands, as far as that can be told without reading the file as TOML does."""
    wanted = re.compile(rf"\s*[\[\"']*([\w.]+\.)?{re.escape(key)}\b")
    for number, line in enumerate(text.splitlines(), 1):
        if wanted.match(line):
            return f", line {number}"
    return ""


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX):
            continue
        name = variable[len(_PREFIX) :].lower()
        if variable in failpoints.VARIABLES and failpoints.armed_at() is not None:
            continue  # a test's; where they arm nothing they are told as the unknown variables they are
        if name not in _names():
            warn(f"{_cut(variable)} is not a setting of dynflow_mp{_hint(name, _as_variable)}", stacklevel=4)
            continue
        found[name] = _parsed(name, variable, text)
        for checked, what, good in _CHECKS:
            if checked == name and not good(found[name]):
                raise ConfigError(f"{variable}={_shown(name, text)}: {what}")
    return found


def _as_variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _parsed(name: str, variable: str, text: str) -> Any:
    default = Config.__dataclass_fields__[name].type
    try:
        if str(default).startswith("int"):
            return int(text)
        if "float" in str(default):
            return float(text)
        if "bool" in str(default):
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                text.lower()
            ]
        if name in ("apps", "middleware", "sensitive_keys"):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if name == "queues":
            pairs = (part.split("=", 1) for part in text.split(",") if part.strip())
            return {queue.strip(): int(count) for queue, count in pairs}
        if name == "meta":
            raise ConfigError(f"{variable}: meta cannot be given by the environment")
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{variable}={_shown(name, text)} cannot be read as {name}") from error
    return text
