"""Which addresses worlds may listen on."""

from __future__ import annotations

import pytest

from dynflow_mp.connectors.endpoints import check_endpoint
from dynflow_mp.errors import ConnectorError


@pytest.mark.parametrize(
    "endpoint",
    [
        "ipc:///run/dynflow/world",
        "ipc:///" + "a" * 106,
        "tcp://127.0.0.1:5555",
        "tcp://127.0.0.1:*",
        "tcp://localhost:1",
        "tcp://[::1]:5555",
    ],
)
def test_paths_and_loopback_addresses_are_allowed(endpoint: str) -> None:
    check_endpoint(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("tcp://0.0.0.0:5555", "nothing is encrypted"),
        ("tcp://*:5555", "nothing is encrypted"),
        ("tcp://10.0.0.1:5555", "nothing is encrypted"),
        ("tcp://example.org:5555", "nothing is encrypted"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://127.0.0.1:http", "port"),
        ("tcp://127.0.0.1:99999", "port"),
        ("ipc:///" + "a" * 107, "too long"),
        ("ipc://@abstract", "protected"),
        ("ipc://*", "protected"),
        ("inproc://here", "neither"),
        ("udp://127.0.0.1:1", "neither"),
        ("127.0.0.1:5555", "neither"),
        ("ipc://", "neither"),
        ("", "neither"),
    ],
)
def test_everything_else_is_refused_with_the_reason(endpoint: str, reason: str) -> None:
    with pytest.raises(ConnectorError, match=reason):
        check_endpoint(endpoint)
