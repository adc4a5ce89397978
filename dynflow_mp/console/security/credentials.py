"""Whether what somebody brings is what the settings know: compared in the same time, right or wrong."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

from dynflow_mp.console.security.seal import Seal
from dynflow_mp.console.settings import ConsoleSettings, TrustedProxy

TOKEN_USER = "console"
"""Who has the token; it has no name of its own."""
SESSION_COOKIE = "dynflow_console_session"
_SESSION = "session"
_LONGEST_NAME = 100


class Known(NamedTuple):
    """Somebody, and how that is known: ``binding`` is what a CSRF token is for."""

    name: str
    binding: str
    by_header: bool = False
    """By a header that no browser adds by itself."""


def session_text(seal: Seal, settings: ConsoleSettings, session_id: str) -> str:
    """The cookie of somebody who has just shown the token."""
    return seal.sealed(_SESSION, session_id, settings.session_hours * 3600)


def of_session(seal: Seal, given: str | None) -> Known | None:
    """Whose cookie this is."""
    session_id = None if given is None else seal.opened(_SESSION, given)
    return None if session_id is None else Known(TOKEN_USER, f"session {session_id}")


def is_token(settings: ConsoleSettings, given: str) -> bool:
    """Whether this is the token."""
    return settings.token is not None and _same(given, settings.token)


def of_authorization(settings: ConsoleSettings, given: str) -> Known | None:
    """Who an ``Authorization`` header is of."""
    kind, _, rest = given.partition(" ")
    if kind.lower() == "bearer":
        return Known(TOKEN_USER, "bearer", by_header=True) if is_token(settings, rest.strip()) else None
    if kind.lower() == "basic" and settings.passwords:
        return _of_basic(settings, rest.strip())
    return None


def _of_basic(settings: ConsoleSettings, given: str) -> Known | None:
    try:
        name, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    # Of a name nobody has, something is compared all the same: how long it takes tells nothing.
    wanted = settings.passwords.get(name)
    right = _same(password, wanted if wanted is not None else "nobody's")
    return Known(name, f"user {name}") if colon and wanted is not None and right else None


def is_trusted(proxy: TrustedProxy, scope: Scope) -> bool:
    """Whether a request comes through the proxy: from its address, with its secret."""
    given = Headers(scope=scope).getlist(proxy.secret_header)
    return len(given) == 1 and _same(given[0], proxy.secret) and _comes_from(proxy, scope)


def of_proxy(proxy: TrustedProxy, scope: Scope) -> Known | None:
    """Whom the proxy says it is, if it is the proxy."""
    names = Headers(scope=scope).getlist(proxy.user_header)
    if not is_trusted(proxy, scope) or len(names) != 1:
        return None
    name = names[0].strip()
    fit = name and len(name) <= _LONGEST_NAME and name.isprintable()
    return Known(name, f"user {name}") if fit else None


def _comes_from(proxy: TrustedProxy, scope: Scope) -> bool:
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and any(
        address.version == network.version and address in network for network in proxy.networks()
    )


def _same(given: str, wanted: str) -> bool:
    """Digests are compared, so that not even the length tells by how long it takes."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted))
    return hmac.compare_digest(*digests)
