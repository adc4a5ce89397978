"""Which addresses worlds may listen on."""

from __future__ import annotations

import pytest

from dynflow_mp.connectors.endpoints import check_endpoint, is_everywhere, reached_at
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
        ("tcp://0.0.0.0:5555", "refused without CURVE"),
        ("tcp://*:5555", "refused without CURVE"),
        ("tcp://10.0.0.1:5555", "refused without CURVE"),
        ("tcp://example.org:5555", "refused without CURVE"),
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


@pytest.mark.parametrize("endpoint", ["tcp://10.0.0.1:5555", "tcp://example.org:*", "tcp://[fd00::2]:5555"])
def test_g38_other_addresses_are_allowed_with_curve_only(endpoint: str) -> None:
    check_endpoint(endpoint, encrypted=True)

    with pytest.raises(ConnectorError, match="refused without CURVE"):
        check_endpoint(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "host", "reached"),
    [
        ("tcp://0.0.0.0:5555", "orders.example.org", "tcp://orders.example.org:5555"),
        ("tcp://[::]:5555", "fd00::2", "tcp://[fd00::2]:5555"),
        ("tcp://10.0.0.1:5555", None, "tcp://10.0.0.1:5555"),
        ("ipc:///run/world", "orders.example.org", "ipc:///run/world"),
    ],
)
def test_where_others_reach_a_world(endpoint: str, host: str | None, reached: str) -> None:
    assert reached_at(endpoint, host) == reached


def test_an_endpoint_on_all_addresses_says_nothing_about_where_it_is() -> None:
    assert all(map(is_everywhere, ("tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1")))
    assert not is_everywhere("tcp://127.0.0.1:1")
