"""What is not shown: values under telling keys, wherever data of users meets logs, errors and screens.

is_sensitive("api_key") ─▶ redacted(data, sensitive) for display      secrets_in(data, …) ─▶ without(text, secrets)

Data is stored as it is: this is about what people, files and programs get to see.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

MASK = "***"

_ANYWHERE = (
    *("password", "passwd", "passphrase", "secret", "apikey", "authorization", "privatekey", "credential"),
    *("accesskey", "sessionid"),
)
"""A key that holds one of these, case and separators aside, is telling."""
_WORDS = frozenset({"token", "auth", "pwd", "cookie", "bearer", "jwt", "otp", "cvv", "cvc"})
"""A key that has one of these as a word of its own is: ``auth_token``, but not ``max_tokens`` or ``author``."""
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SEPARATORS = re.compile(r"[^a-z0-9]+")

_SHORTEST = 4
"""A shorter secret is found in any text: to mask it there would say more than it hides."""
_DEEPEST = 200
_MOST_SECRETS = 1_000
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/]+(?=@)", re.IGNORECASE)
_PAIR = re.compile(
    r"((?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?token)[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&)\]}]+)",
    re.IGNORECASE,
)

_also: tuple[str, ...] = ()


def hide_also(keys: Iterable[str]) -> None:
    """In this process, keys that hold one of these are telling, too. What was hidden before stays so."""
    global _also
    found = {*_also, *filter(None, map(_plain, keys))}
    if len(found) > len(_also):
        _also = tuple(sorted(found))
        is_sensitive.cache_clear()


@lru_cache(maxsize=4096)
def is_sensitive(key: str) -> bool:
    """Whether what stands under this key is not to be shown."""
    plain = _plain(key)
    if any(word in plain for word in _ANYWHERE) or any(word in plain for word in _also):
        return True
    return any(part.lower() in _WORDS for part in _PARTS.findall(key[:1000]))


def redacted(value: Any, sensitive: Collection[str] = ()) -> Any:
    """A copy of plain data to be shown: :data:`MASK` under every telling key, and at the paths in ``sensitive``.

    A path such as ``card.number`` names keys from the outside in; lists on the way are passed through.
    """
    return _redacted(value, tuple(path.split(".") for path in sensitive), 0)


def secrets_in(value: Any, sensitive: Collection[str] = ()) -> frozenset[str]:
    """The texts that :func:`redacted` would hide, long enough to be looked for."""
    found: set[str] = set()
    for text in _hidden(value, tuple(path.split(".") for path in sensitive), False, 0):
        if len(text) >= _SHORTEST:
            found.add(text)
            if len(found) >= _MOST_SECRETS:
                break
    return frozenset(found)


def without(text: str, secrets: Collection[str] = ()) -> str:
    """``text`` with these secrets, as they are and as ``repr`` writes them, and passwords in URLs masked."""
    for secret in sorted(secrets, key=len, reverse=True):
        for spelling in {secret, repr(secret)[1:-1]}:
            text = text.replace(spelling, MASK)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<1>{MASK}", text)
    return _PAIR.sub(rf"\g<1>{MASK}", text)


def _plain(key: str) -> str:
    return _SEPARATORS.sub("", key[:1000].lower())


def _redacted(value: Any, paths: Sequence[Sequence[str]], depth: int) -> Any:
    if depth > _DEEPEST:
        return MASK  # nobody looks that deep, and we do not, either
    if isinstance(value, dict):
        return {
            key: MASK if _is_hidden(key, paths) else _redacted(item, _below(key, paths), depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_redacted(item, paths, depth + 1) for item in value]
    if isinstance(value, str):
        return without(value)
    return value


def _hidden(value: Any, paths: Sequence[Sequence[str]], inside: bool, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _hidden(item, _below(key, paths), inside or _is_hidden(key, paths), depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _hidden(item, paths, inside, depth + 1)
    elif inside and value is not None and not isinstance(value, bool):
        yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_hidden(key: Any, paths: Sequence[Sequence[str]]) -> bool:
    return isinstance(key, str) and (is_sensitive(key) or any(path == [key] for path in paths))


def _below(key: Any, paths: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """What the paths say about what stands under ``key``."""
    return tuple(path[1:] for path in paths if len(path) > 1 and path[0] == key) if paths else paths


def discreet(kind: type[T]) -> type[T]:
    """A named tuple whose ``repr`` tells how long its bytes are, not what: they are users' data."""
    kind.__repr__ = _brief  # type: ignore[method-assign]
    return kind


def _brief(self: Any) -> str:
    fields = (f"{name}={_told(value)}" for name, value in zip(self._fields, self, strict=True))
    return f"{type(self).__name__}({', '.join(fields)})"


def _told(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if type(value) is dict:
        return f"{{{', '.join(f'{key!r}: {_told(item)}' for key, item in value.items())}}}"
    if type(value) is tuple:
        return f"({', '.join(map(_told, value))})"
    return repr(value)
