"""The thread that answers for every new TCP connection whether it may come in, and counts who may not.

libzmq ── ZAP: the key that was proved ──▶ Doorkeeper ──▶ Admission ──▶ welcome | unknown | later
libzmq ── monitor: failed handshakes ────▶    └──▶ counts
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from dynflow_mp.bell import Bell
from dynflow_mp.connectors.admission import Admission, Verdict
from dynflow_mp.connectors.keys import KeyPair
from dynflow_mp.telemetry import logger

log = logger("connectors.doorkeeper")

DOMAIN = b"dynflow"
_ZAP = "inproc://zeromq.zap.01"
_MONITOR = "inproc://dynflow-doorkeeper"
_VERSION = b"1.0"
_WELCOME, _REFUSED = b"200", b"400"
"""Not 300, "later": then libzmq lets the connection hang until the handshake's time is over."""
_JOIN_S = 20.0

NO_CURVE, WRONG_SERVER_KEY, NO_HANDSHAKE, BROKEN_OFF = (
    "no CURVE",
    "wrong server key",
    "no handshake",
    "broken off",
)
_BROKEN_OFF = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_FAILED = _BROKEN_OFF | int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_REASONS = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): NO_CURVE,
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): WRONG_SERVER_KEY,
}
_WORDS_EVERY_S = 60.0
"""Whoever is refused comes again at once, and again: that is said once a minute."""


class Doorkeeper:
    """Guards one ROUTER. Owns the sockets that libzmq asks; its thread is ``dynflow doorkeeper``."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair, admission: Admission) -> None:
        self.admission = admission
        self._keys = keys
        self._refused: Counter[str] = Counter()
        self._said_at: dict[str, float] = {}
        self._bell = Bell()
        try:
            self._open(context)
        except BaseException:
            context.destroy(
                0
            )  # its one user cannot begin: else the end would wait for a socket that nobody has
            self._bell.close()
            raise
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dynflow doorkeeper", daemon=True)

    def _open(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._zap: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._events: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        for socket in (self._zap, self._events):
            socket.set(zmq.LINGER, 0)
        # libzmq waits for who hears its events: it must never have to, however long we read the register.
        self._events.set(zmq.RCVHWM, 0)
        self._zap.bind(_ZAP)

    def guard(self, router: zmq.Socket[bytes]) -> None:
        """Let nobody in who is not admitted. To be called before the ROUTER is bound."""
        router.set(zmq.ZAP_DOMAIN, DOMAIN)
        # Else whoever comes while nobody answers for them, as at our end, would be let in.
        router.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.set(zmq.CURVE_SERVER, 1)
        router.set(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
        router.monitor(_MONITOR, _FAILED)
        self._events.connect(_MONITOR)
        self._thread.start()

    @property
    def refused(self) -> Mapping[str, int]:
        """How many connections were refused, by reason. Any thread may ask."""
        return dict(self._refused)

    def stop(self, router: zmq.Socket[bytes] | None) -> None:
        """Answer no more; called by the ROUTER's owner (None: it could not be opened), before it is closed. Twice is fine."""
        if self._stopping:
            return
        if router is not None:
            router.monitor(None, 0)  # first of all: it would wait for somebody to hear its events
        self._stopping = True
        if self._thread.is_alive():
            self._bell.ring()
            self._thread.join(_JOIN_S)
        self._zap.close(0)
        self._events.close(0)
        self._bell.close()

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._bell.fd, self._zap, self._events):
            poller.register(source, zmq.POLLIN)
        while not self._stopping:
            try:
                ready = dict(poller.poll(int(self.admission.refresh_s * 1000)))
                if self._zap in ready:
                    self._answer(self._zap.recv_multipart())
                if self._events in ready:
                    self._note(self._events.recv_multipart())
                # What comes over open connections is judged by the last reading, too.
                self.admission.refresh_if_old()
            except Exception:
                if self._stopping:
                    return
                log.exception("the doorkeeper stumbled", extra={"action": "doorkeeper_stumbled"})

    def _answer(self, frames: list[bytes]) -> None:
        """A REP answers each question, whatever it was, or it hears no other."""
        request_id = frames[1] if len(frames) > 1 else b""
        status, text, user = b"500", b"not understood", b""
        try:
            if len(frames) == 7 and frames[0] == _VERSION and frames[5] == b"CURVE" and len(frames[6]) == 32:
                key = z85.encode(frames[6])
                verdict = self.admission.admits(key.decode())
                text = verdict.value.encode()
                if verdict is Verdict.WELCOME:
                    status, user = _WELCOME, key
                else:
                    status = _REFUSED
                    self._count(verdict.value, frames[3])
        finally:
            self._zap.send_multipart([_VERSION, request_id, status, text, user, b""])

    def _note(self, frames: list[bytes]) -> None:
        event = parse_monitor_message(frames)
        if event["event"] == _BROKEN_OFF:
            self._count(BROKEN_OFF)
        elif event["event"] & _FAILED:
            self._count(_REASONS.get(event["value"], NO_HANDSHAKE))

    def _count(self, reason: str, address: bytes = b"") -> None:
        self._refused[reason] += 1
        now = time.monotonic()
        if now - self._said_at.get(reason, float("-inf")) < _WORDS_EVERY_S:
            return
        self._said_at[reason] = now
        log.warning(
            "refused a connection%s: %s (%d so far)",
            f" from {address.decode('ascii', 'replace')}" if address else "",
            reason,
            self._refused[reason],
            extra={"action": "connection_refused", "reason": reason},
        )
