"""Places where a test may have this process die, stand still, hang or fail. In production each is one look at a global.

    failpoint("jobs_received") ── not armed: nothing ── armed: is there an order for this place? ─▶ once, do it

A process is armed only if ``DYNFLOW_FAILPOINTS_ARMED`` names a directory of this very user, closed to all others, with a file
``armed`` in it that says so word for word (:func:`prepare` makes both). Then ``DYNFLOW_FAILPOINTS`` holds orders,
``place=action`` or ``place=action@n`` (at the n-th passing of this process), several separated by ``;``; a file
``orders`` in the directory replaces them at any time. Each order is carried out once, by whichever process
comes first: it leaves ``fired-<place>`` there with its pid.

    kill9   SIGKILL to itself          hang    until ``release-<place>`` is there, half a minute at most
    stop    SIGSTOP to itself          raise   what the place names, else :class:`FailpointRaised`
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

ARMED_VARIABLE = "DYNFLOW_FAILPOINTS_ARMED"
ORDERS_VARIABLE = "DYNFLOW_FAILPOINTS"
VARIABLES = (ARMED_VARIABLE, ORDERS_VARIABLE)

ACTIONS = ("kill9", "stop", "raise", "hang")
LONGEST_HANG_S = 30.0

MOMENTS: Mapping[str, str] = {
    "plan_planned": "M1: before a new plan is stored",
    "plan_stored": "M2: after a new plan is stored, before it is asked for",
    "request_sent": "M3: after an executor was asked, before it accepts",
    "plan_claimed": "M4: after the plan's row is taken, before its steps are marked",
    "running_stored": "M5: after running marks are stored, before the jobs are sent",
    "jobs_received": "M6: after jobs were sent, before one begins",
    "in_run": "M7: in a user's run",
    "outcomes_encoded": "M8: after outcomes are encoded, before they are on the page or on their way",
    "outcomes_heard": "M9: after outcomes came, before they are stored",
    "commit_unheard": "M10: after outcomes are stored, before whoever stored them knows",
    "outcomes_stored": "M11: after outcomes are stored, before anything leaves",
    "turn_over": "M12: after all of that turn has left, before the next",
    "in_finalize": "M13: in a user's finalize",
    "before_release": "M14: before the lock of a plan that ends here is released",
    "before_terminal_commit": "M15: before a plan's end is committed",
}
"""Every place there is, in the order in which a plan comes by them."""

_TOKEN = "processes that look here die on demand\n"
_LOOK_S = 0.005
_Version = tuple[int, int]


class FailpointRaised(RuntimeError):
    """A test ordered this place to fail."""


class Order(NamedTuple):
    """What is to happen at a place, at which passing of it."""

    action: str
    passing: int


def failpoint(
    name: str,
    *,
    when: Callable[[], bool] | None = None,
    raises: Callable[[], BaseException] | None = None,
) -> None:
    """This is the place ``name``. ``when`` is asked only where somebody is interested: whether it is the place just now."""
    if _armed is not None:
        _armed.passed(name, when, raises)


def armed_at() -> str | None:
    """The directory by which this process is armed, for those that it starts; None: it is not."""
    return None if _armed is None else str(_armed.directory)


def arm(directory: str | None) -> None:
    """Be armed by a directory, as the process that started this one is; None, or none that :func:`prepare` made: not."""
    global _armed
    _armed = None if directory is None or not is_prepared(Path(directory)) else _Armed(Path(directory), "")


def prepare(directory: Path) -> Path:
    """Make a directory that arms processes; returns it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    (directory / "armed").write_text(_TOKEN)
    return directory


def is_prepared(directory: Path) -> bool:
    """Whether a directory is there to arm processes, and is nobody else's."""
    try:
        found = directory.stat()
        mine = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        return mine and (directory / "armed").read_text() == _TOKEN
    except (OSError, UnicodeDecodeError):
        return False


def parsed(text: str) -> dict[str, Order]:
    """Orders by place. Raises :class:`ValueError`, naming the order, for one that cannot be carried out."""
    orders: dict[str, Order] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, _, wanted = part.partition("=")
        action, _, passing = wanted.partition("@")
        if name not in MOMENTS:
            raise ValueError(f"failpoint order {part!r}: no place is called {name!r}")
        if action not in ACTIONS:
            raise ValueError(f"failpoint order {part!r}: {action!r} is none of {', '.join(ACTIONS)}")
        if passing and not (passing.isdecimal() and int(passing) > 0):
            raise ValueError(f"failpoint order {part!r}: {passing!r} is no number from 1")
        orders[name] = Order(action, int(passing or 1))
    return orders


class _Armed:
    """What an armed process knows. Any thread may pass."""

    def __init__(self, directory: Path, orders: str) -> None:
        self.directory = directory
        self._own = parsed(orders)
        self._passings: dict[tuple[str, Order, _Version], int] = {}

    def passed(
        self, name: str, when: Callable[[], bool] | None, raises: Callable[[], BaseException] | None
    ) -> None:
        orders, version = self._orders()
        order = orders.get(name)
        if order is None or (when is not None and not when()):
            return
        key = (name, order, version)
        self._passings[key] = self._passings.get(key, 0) + 1
        if self._passings[key] == order.passing and self._is_first(name, order):
            self._carry_out(name, order, raises)

    def _orders(self) -> tuple[Mapping[str, Order], _Version]:
        """What is wanted now, and which version of it: a file that is replaced twice may have its first number again."""
        try:
            with open(self.directory / "orders") as file:
                found = os.fstat(file.fileno())
                return parsed(file.read()), (found.st_ino, found.st_mtime_ns)
        except FileNotFoundError:
            return self._own, (0, 0)

    def _is_first(self, name: str, order: Order) -> bool:
        """Whether no other process has done it: only one can make the file."""
        try:
            with open(self.directory / f"fired-{name}", "x") as file:
                file.write(f"{os.getpid()} {order.action}\n")
        except FileExistsError:
            return False
        return True

    def _carry_out(self, name: str, order: Order, raises: Callable[[], BaseException] | None) -> None:
        if order.action == "kill9":
            os.kill(os.getpid(), signal.SIGKILL)
        elif order.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif order.action == "hang":
            give_up_at = monotonic() + LONGEST_HANG_S
            while not (self.directory / f"release-{name}").exists() and monotonic() < give_up_at:
                sleep(_LOOK_S)
        else:
            raise raises() if raises is not None else FailpointRaised(f"failpoint {name}")


def _from_environment(environment: Mapping[str, str]) -> _Armed | None:
    named = environment.get(ARMED_VARIABLE)
    if not named or not is_prepared(Path(named)):
        return None
    return _Armed(Path(named), environment.get(ORDERS_VARIABLE, ""))


_armed = _from_environment(os.environ)
