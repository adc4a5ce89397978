"""Texts that come back from a browser as they were given to it, and not later than they may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from dynflow_mp.clock import now_us
from dynflow_mp.console.settings import ConsoleSettings

_LONGEST = 4_096


class Seal:
    """Signs texts with a key. Consoles of the same secrets have the same key, across processes and restarts."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, settings: ConsoleSettings) -> Seal:
        """The seal of a console: made from its secrets, so it changes with them; a random one where there are none."""
        parts = [
            settings.signing_key or "",
            settings.token or "",
            settings.proxy.secret if settings.proxy else "",
        ]
        parts += [f"{name}:{password}" for name, password in sorted(settings.passwords.items())]
        if not any(parts):
            return cls(secrets.token_bytes(32))
        joined = "\0".join(parts).encode()
        return cls(hashlib.scrypt(joined, salt=b"dynflow_mp.console", n=2**12, r=8, p=1, dklen=32))

    def sealed(self, purpose: str, text: str, seconds: float) -> str:
        """The text with its end and a signature, in letters that a cookie may hold."""
        body = f"{_letters(text.encode())}.{now_us() // 1_000_000 + int(seconds)}"
        return f"{body}.{self._signature(purpose, body)}"

    def opened(self, purpose: str, given: str) -> str | None:
        """The text, if it was sealed here for this purpose and its time is not over."""
        if len(given) > _LONGEST or not given.isascii():
            return None
        body, _, signature = given.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(purpose, body)):
            return None
        letters, _, until = body.rpartition(".")
        if int(until) < now_us() // 1_000_000:
            return None
        return base64.urlsafe_b64decode(letters).decode()

    def _signature(self, purpose: str, body: str) -> str:
        return _letters(hmac.digest(self._key, f"{purpose}\0{body}".encode(), "sha256"))


def _letters(data: bytes) -> str:
    """URL-safe base64; the padding stays."""
    return base64.urlsafe_b64encode(data).decode()
