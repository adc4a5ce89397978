"""Settings that cannot work, or are not safe, are refused by their names."""

import pytest

from dynflow_mp.console.settings import ConsoleSettings, TrustedProxy, is_loopback
from dynflow_mp.errors import ConfigError

TOKEN = "t" * 32


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"host": ""}, "host"),
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"prefix": "dynflow"}, "prefix"),
        ({"prefix": "/dynflow/"}, "prefix"),
        ({"prefix": "//evil"}, "prefix"),
        ({"prefix": "/a/../b c"}, "prefix"),
        ({"token": ""}, "token"),
        ({"token": "short"}, "at least 22"),
        ({"token": "with spaces in it, and long enough"}, "without spaces"),
        ({"token": "é" * 30}, "ASCII"),
        ({"passwords": {"ann": "short"}}, "at least 12"),
        ({"passwords": {"a:b": "long-enough-pass"}}, "user's name"),
        ({"passwords": {"": "long-enough-pass"}}, "user's name"),
        ({"page_size": 0}, "page_size"),
        ({"steps_page_size": 501}, "steps_page_size"),
        ({"allowed_hosts": ("*",), "token": TOKEN}, "allowed_hosts"),
        ({"allowed_hosts": ("a:80",), "token": TOKEN}, "allowed_hosts"),
        ({"allowed_hosts": ("a/b",), "token": TOKEN}, "allowed_hosts"),
        ({"allowed_hosts": ("",), "token": TOKEN}, "allowed_hosts"),
        ({"allowed_hosts": "evil", "token": TOKEN}, "allowed_hosts"),
    ],
)
def test_what_cannot_work_is_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        ConsoleSettings(**settings)


@pytest.mark.parametrize(
    "proxy",
    [
        {"user_header": "X User", "secret": TOKEN},
        {"user_header": "X-User", "secret": "short"},
        {"user_header": "X-User", "secret": TOKEN, "secret_header": "x-user"},
        {"user_header": "X-User", "secret": TOKEN, "addresses": ()},
        {"user_header": "X-User", "secret": TOKEN, "addresses": ("everywhere",)},
    ],
)
def test_a_proxy_that_cannot_be_trusted_is_refused(proxy):
    with pytest.raises(ConfigError):
        TrustedProxy(**proxy)


def test_it_answers_to_loopback_names_its_own_and_those_that_are_allowed():
    settings = ConsoleSettings(
        host="192.0.2.7", allowed_hosts=("Console.Example", "[2001:db8::1]"), token=TOKEN
    )

    assert settings.hosts == {
        *("localhost", "127.0.0.1", "[::1]", "192.0.2.7", "console.example", "[2001:db8::1]"),
    }
    assert "0.0.0.0" not in ConsoleSettings(host="0.0.0.0", token=TOKEN).hosts


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_which_names_are_this_host_alone(host, loopback):
    assert is_loopback(host) is loopback
