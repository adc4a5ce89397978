"""Tokens and passwords are kept in files that nobody else may read; never in options, which every process list shows.

token file      the token, alone on its line            password file      name:password, one a line
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from dynflow_mp.errors import ConfigError

_LARGEST = 64 * 1024
_TOKEN_BYTES = 32


def token_in(path: Path) -> str:
    """The token that a file holds. Raises :class:`ConfigError`, as all of these do."""
    lines = list(_lines(path))
    if len(lines) != 1:
        raise ConfigError(f"{path} has {len(lines)} lines; the token alone is expected, on one line")
    return lines[0]


def token_in_or_made(path: Path) -> tuple[str, bool]:
    """The token that a file holds, made (256 bits) if there is no such file; and whether it was."""
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return token_in(path), False
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from error
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with open(made, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token, True


def passwords_in(path: Path) -> dict[str, str]:
    """Names and passwords."""
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        name, colon, password = line.partition(":")
        if not colon or not name:
            raise ConfigError(f"{path}, line {number}: name:password is expected")
        if name in found:
            raise ConfigError(f"{path}, line {number}: {name!r} is there twice")
        found[name] = password
    if not found:
        raise ConfigError(f"{path} names nobody; name:password is expected on each line")
    return found


def _lines(path: Path) -> Iterator[str]:
    """What stands in the file, but empty lines and remarks (``#``)."""
    for line in _read(path).splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            yield text


def _read(path: Path) -> str:
    """The file that was looked at is the file that is read: it may be exchanged in between."""
    try:
        with open(path, "rb", opener=_open) as file:
            _check_private(path, os.fstat(file.fileno()))
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise ConfigError(f"{path} is too large to be a file with secrets")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8") from error


def _open(path: str, flags: int) -> int:
    """A pipe without a writer would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{path} is no regular file")
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"{path} belongs to another user, who knows what is in it, too")
    if found.st_mode & 0o077:
        raise ConfigError(f"{path}: others may read it; chmod 600 {path}")
