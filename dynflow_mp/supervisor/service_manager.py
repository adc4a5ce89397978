"""What a service manager is told: systemd's protocol, a datagram of ``NAME=value`` lines to a socket it names.

start ─▶ READY=1 ─▶ WATCHDOG=1, as long as the core turns ─▶ STOPPING=1 ─▶ exit

Without ``NOTIFY_SOCKET`` nobody is told, and nothing else is different. A manager that does not listen is no
reason to stop, or to wait.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, MutableMapping
from math import inf
from time import monotonic

from dynflow_mp.telemetry import logger

log = logger("supervisor.service_manager")

_MICRO = 1_000_000
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_SHORTEST_S = 3.0
"""A core with nothing to do turns once a second; one that has not for longer than this may be stuck."""


class ServiceManager:
    """Owned by the program's main thread.

    ``turned`` tells when the core turned last (steady clock).
    """

    def __init__(self, address: str | None, watchdog_s: float | None) -> None:
        self._address = _address(address)
        self._watchdog_s = watchdog_s if self._address is not None else None
        self._next_sign_of_life = 0.0
        self._withheld = False

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Whoever started us, as the environment says; nothing of it is passed on to other processes."""
        told = {name: environment.pop(name, None) for name in _VARIABLES}
        return cls(told["NOTIFY_SOCKET"], _watchdog_s(told["WATCHDOG_USEC"], told["WATCHDOG_PID"]))

    @property
    def patience_s(self) -> float:
        """How long nobody need be told that we live."""
        return inf if self._watchdog_s is None else self._watchdog_s / 4

    def starting(self) -> None:
        """The world is being made."""
        self._say("STATUS=starting")

    def ready(self, status: str) -> None:
        """Workers are ready, and others may come."""
        self._say("READY=1", f"STATUS={status}")

    def look(self, turned: Callable[[], float]) -> None:
        """To be called often: says that we live, twice as often as it is asked for – if the core does."""
        if self._watchdog_s is None or monotonic() < self._next_sign_of_life:
            return
        self._next_sign_of_life = monotonic() + self._watchdog_s / 2
        silent_s = monotonic() - turned()
        if silent_s < max(self._watchdog_s / 2, _SHORTEST_S):
            self._withheld = False
            self._say("WATCHDOG=1")
        elif not self._withheld:
            self._withheld = True
            log.error(
                "the core has not turned for %.0f s; the service manager is not told that it lives",
                silent_s,
                extra={"action": "watchdog_withheld"},
            )

    def stopping(self, status: str, within_s: float) -> None:
        """The world ends; it takes so long at the most, and nobody shall kill it before."""
        self._say("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(within_s * _MICRO)}")

    def _say(self, *lines: str) -> None:
        if self._address is None:
            return
        # One line each: what is shown must not become an order.
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode("utf-8", "backslashreplace"), self._address)
        except OSError as error:
            log.debug("the service manager was not told: %s", error, extra={"action": "notify_failed"})


def _address(text: str | None) -> str | None:
    """The socket's path, or its abstract name as the system wants it."""
    if text is None:
        return None
    if text.startswith("@") and len(text) > 1:
        return "\0" + text[1:]
    if text.startswith("/"):
        return text
    log.warning(
        "NOTIFY_SOCKET=%r is neither a path nor an abstract socket; no service manager is told",
        text,
        extra={"action": "notify_failed"},
    )
    return None


def _watchdog_s(usec: str | None, pid: str | None) -> float | None:
    """How often it wants to hear from us, if it is us that it means."""
    if usec is None or not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return None
    if pid is not None and pid != str(os.getpid()):
        return None
    return int(usec) / _MICRO
