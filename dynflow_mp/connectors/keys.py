"""CURVE keys: what a world proves itself with on TCP, and the files they may be kept in.

By default a world makes a new pair as it starts and publishes the public half in its record. A fixed pair
is worth its trouble only where the database alone shall not decide who takes part (``curve_trusted_keys_file``).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from dynflow_mp.errors import ConfigError

KEY_LENGTH = 40
_KEY_BYTES = 32
_LARGEST_FILE = 1024 * 1024
_OLDEST_LIBRARY = (4, 3, 5)
"""Before it, connections that never finish their handshake could fill the memory."""

_PUBLISHED = frozenset(
    {
        "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
        "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
        "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
        "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
    }
)
"""The pairs printed in libzmq's manual: everybody has them."""


def why_no_curve() -> str | None:
    """Why the installed ZeroMQ cannot protect TCP endpoints; None if it can."""
    if not zmq.has("curve"):
        return "the installed libzmq was built without CURVE; pyzmq's own wheels have it"
    if zmq.zmq_version_info() < _OLDEST_LIBRARY:
        oldest = ".".join(map(str, _OLDEST_LIBRARY))
        return f"libzmq {zmq.zmq_version()} is too old, {oldest} is needed; pyzmq's own wheels have it"
    return None


def check_key(text: str, what: str = "the key") -> str:
    """``text``, if it is a key such as CURVE takes. Raises :class:`ConfigError`; the text is not shown."""
    if len(text) != KEY_LENGTH:
        raise ConfigError(f"{what} has {len(text)} characters; a CURVE key has {KEY_LENGTH}")
    try:
        decoded = z85.decode(text.encode("ascii"))
    except (ValueError, KeyError, struct.error):
        decoded = b""
    if len(decoded) != _KEY_BYTES:
        raise ConfigError(f"{what} is no CURVE key: it has letters that Z85 does not have")
    if text in _PUBLISHED:
        raise ConfigError(
            f"{what} is one of those printed in ZeroMQ's manual, which everybody has; "
            "make one with: dynflow-mp keys generate FILE"
        )
    return text


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A world's own keys, as Z85 texts. The secret one is never shown."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> KeyPair:
        """A pair that nobody has had. Raises :class:`ConfigError` where ZeroMQ has no CURVE."""
        reason = why_no_curve()
        if reason is not None:
            raise ConfigError(f"no CURVE key can be made: {reason}")
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())

    @classmethod
    def from_file(cls, path: Path) -> KeyPair:
        """The pair whose secret key stands in this file, alone on its line.

        Raises :class:`ConfigError` for a file that others may read, or whose directory they may enter.
        """
        _check_private(path)
        lines = list(_lines(path))
        if len(lines) != 1:
            raise ConfigError(f"{path} holds {len(lines)} keys; one secret key is expected")
        secret = check_key(lines[0], f"the key in {path}")
        public = check_key(zmq.curve_public(secret.encode()).decode(), f"the key in {path}")
        return cls(public, secret)

    def write(self, path: Path) -> None:
        """Keep the secret key in a new file that only this user may read; its directory is made (0700) if missing.

        Raises :class:`ConfigError`: an existing file is never overwritten.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_directory(path)
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError as error:
            raise ConfigError(f"{path} is there already; a key is never overwritten") from error
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        with open(made, "w", encoding="ascii") as file:
            os.fchmod(made, 0o600)
            file.write(
                f"# A secret CURVE key of dynflow_mp. Its public key is {self.public}\n{self.secret}\n"
            )


def trusted_keys(path: Path) -> frozenset[str]:
    """The public keys in a file, one on each line; ``#`` begins a remark. Raises :class:`ConfigError`."""
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path}: others may write to it, and could let anybody in; chmod go-w {path}")
    return frozenset(
        check_key(line, f"{path}, key {number}") for number, line in enumerate(_lines(path), start=1)
    )


def _lines(path: Path) -> Iterator[str]:
    """What stands in the file but remarks. A ``#`` may be a letter of a key, so a remark needs its own line."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{path} is too large to be a file with keys")
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text and not text.startswith("# "):
            yield text


def _check_private(path: Path) -> None:
    if os.path.isdir(path.parent) and not os.path.lexists(path):
        raise ConfigError(f"{path}: there is no such file; dynflow-mp keys generate makes one")
    _check_directory(path)
    try:
        found = path.lstat()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is no regular file; a secret key is kept in one")
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"{path} belongs to another user, who has this secret key, too")
    if found.st_mode & 0o077:
        raise ConfigError(f"{path}: others may read this secret key; chmod 600 {path}, or make a new one")


def _check_directory(path: Path) -> None:
    try:
        found = path.parent.stat()
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be used: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o077:
        raise ConfigError(
            f"{path.parent} holds secret keys, so nobody else may enter it; chmod 700 {path.parent}"
        )
