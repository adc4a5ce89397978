"""How a console is reached, by whom, and what it shows: one frozen value, checked as it is made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynflow_mp.errors import ConfigError

LEAST_TOKEN_LENGTH = 22
"""128 bits, written in 64 letters."""
LEAST_PASSWORD_LENGTH = 12
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
MOST_ON_A_PAGE = 500

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")

Authenticator = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxy:
    """A proxy that has asked people who they are, and says so in a header.

    Believed is only what comes from one of ``addresses`` (addresses or networks) with ``secret`` in the header
    ``secret_header``: the proxy sets both headers on every request, so that nobody passes them through it.
    """

    user_header: str
    secret: str = field(repr=False)
    secret_header: str = "X-Dynflow-Proxy-Secret"
    addresses: tuple[str, ...] = ("127.0.0.1", "::1")

    def __post_init__(self) -> None:
        for name in (self.user_header, self.secret_header):
            if not _HEADER_NAME.fullmatch(name):
                raise ConfigError(f"{name!r} is no name of a header")
        if self.user_header.lower() == self.secret_header.lower():
            raise ConfigError(f"{self.user_header} cannot hold both the user and the secret")
        _check_length("the proxy's secret", self.secret, LEAST_TOKEN_LENGTH)
        if not self.addresses:
            raise ConfigError("a trusted proxy needs the addresses it comes from")
        self.networks()

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The addresses, each as a network."""
        try:
            return tuple(ipaddress.ip_network(address, strict=False) for address in self.addresses)
        except ValueError as error:
            raise ConfigError(f"the trusted proxy's addresses: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The settings of one console. Raises :class:`ConfigError` for those that cannot work or are not safe.

    Whoever is to be let in from elsewhere than this host needs one of ``token``, ``passwords``, ``proxy`` and
    ``authenticator``; without any of them only loopback names are answered.
    """

    host: str = "127.0.0.1"
    port: int = 8008
    prefix: str = ""
    """The path it is found under behind a proxy, such as ``/dynflow``; a mounted console learns it by itself."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, as in the address bar, under which it is asked for besides this host's loopback names."""
    token: str | None = field(default=None, repr=False)
    """What is typed into the login form, or sent as ``Authorization: Bearer``."""
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names and passwords for basic authentication."""
    proxy: TrustedProxy | None = None
    authenticator: Authenticator | None = None
    """Of a mounted console: given the Starlette request, who it is of, by the application's own means; None: nobody."""
    signing_key: str | None = field(default=None, repr=False)
    """What cookies and forms are sealed with, if several processes serve one console without a secret of the above."""
    read_only: bool = False
    reveal: bool = False
    """Whether stored bytes may be looked at as they are (secrets are masked all the same)."""
    page_size: int = 50
    steps_page_size: int = 200
    session_hours: float = 12.0
    max_body_bytes: int = 1024 * 1024
    deed_wait_s: float = 3.0
    """How long a page waits for what was asked for before it says that it is under way."""
    feed_interval_s: float = 1.0
    """How often a page that is open is told of changes."""
    max_listeners: int = 100

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host:
            raise ConfigError("host is empty; 127.0.0.1 is this host alone")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port={self.port}: must be from 0 to 65535")
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(f"prefix={self.prefix!r}: must be a path such as /dynflow")
        if isinstance(self.allowed_hosts, str):
            raise ConfigError(f"allowed_hosts={self.allowed_hosts!r}: must be several names, as a tuple")
        for name in self.allowed_hosts:
            _check_host(name)
        if self.token is not None:
            _check_length("the token", self.token, LEAST_TOKEN_LENGTH)
        if self.signing_key is not None:
            _check_length("the signing key", self.signing_key, LEAST_TOKEN_LENGTH)
        for name, password in self.passwords.items():
            if not name or ":" in name or not name.isprintable():
                raise ConfigError(f"{name!r} cannot be a user's name")
            _check_length(f"the password of {name}", password, LEAST_PASSWORD_LENGTH)
        for what, least in (("page_size", 1), ("steps_page_size", 1)):
            if not least <= getattr(self, what) <= MOST_ON_A_PAGE:
                raise ConfigError(f"{what} must be from {least} to {MOST_ON_A_PAGE}")
        self._check_way_in()

    def _check_way_in(self) -> None:
        if self.protected:
            return
        reached = [*(() if is_loopback(self.host) else (self.host,)), *self._names_beyond_loopback()]
        if reached:
            raise ConfigError(
                f"a console that is reached as {', '.join(reached)} needs to know its users: give it a token, "
                "passwords or a trusted proxy"
            )

    def _names_beyond_loopback(self) -> list[str]:
        return [name for name in self.allowed_hosts if not is_loopback(name)]

    @property
    def protected(self) -> bool:
        """Whether it asks who somebody is."""
        return bool(self.token or self.passwords or self.proxy or self.authenticator)

    @property
    def hosts(self) -> frozenset[str]:
        """The names it answers to, lower case, without ports."""
        bound = () if is_everywhere(self.host) else (bracketed(self.host),)
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, *bound, *self.allowed_hosts))


def is_loopback(host: str) -> bool:
    """Whether only this host itself can reach what listens there."""
    bare = host.strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def is_everywhere(host: str) -> bool:
    """Whether all addresses of this host are meant."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _check_host(name: object) -> None:
    if isinstance(name, str):
        if _HOST_NAME.fullmatch(name):
            return
        try:
            ipaddress.IPv6Address(name.strip("[]"))
        except ValueError:
            pass
        else:
            if name.startswith("["):
                return
    raise ConfigError(f"allowed_hosts: {name!r} is no name of a host (as in the address bar, without a port)")


def _check_length(what: str, text: str, least: int) -> None:
    """Not shown: it is a secret."""
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"{what} must be of ASCII letters, digits and signs, without spaces")
    if len(text) < least:
        raise ConfigError(f"{what} has {len(text)} characters; it needs at least {least}")
