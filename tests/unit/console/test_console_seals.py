"""What comes back from a browser is what was given to it, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.console.security import attempts, seal
from dynflow_mp.console.security.attempts import Attempts
from dynflow_mp.console.security.seal import Seal
from dynflow_mp.console.settings import ConsoleSettings

TOKEN = "t" * 32


@given(st.text(max_size=200))
def test_what_was_sealed_is_opened_again(text):
    one = Seal(b"k" * 32)
    try:
        text.encode()
    except UnicodeEncodeError:
        return

    assert one.opened("session", one.sealed("session", text, 60)) == text


@given(st.text(max_size=300))
def test_what_was_not_is_nothing(text):
    assert Seal(b"k" * 32).opened("session", text) is None


def test_a_seal_is_for_one_purpose_one_key_and_a_time(monkeypatch):
    one = Seal(b"k" * 32)
    given_out = one.sealed("session", "ann", 60)

    assert one.opened("csrf", given_out) is None
    assert Seal(b"l" * 32).opened("session", given_out) is None
    assert one.opened("session", "x" + given_out) is None
    now = seal.now_us()
    monkeypatch.setattr(seal, "now_us", lambda: now + 62_000_000)
    assert one.opened("session", given_out) is None


def test_consoles_of_the_same_secrets_have_the_same_seal_and_others_do_not():
    def sealed_by(**settings):
        return Seal.of(ConsoleSettings(**settings)).sealed("session", "ann", 60)

    same = Seal.of(ConsoleSettings(token=TOKEN))
    assert same.opened("session", sealed_by(token=TOKEN)) == "ann"
    assert same.opened("session", sealed_by(token=TOKEN + "u")) is None
    assert same.opened("session", sealed_by()) is None
    assert Seal.of(ConsoleSettings()).opened("session", sealed_by()) is None
    given = {"signing_key": TOKEN[::-1] + "s"}
    assert Seal.of(ConsoleSettings(**given)).opened("session", sealed_by(**given)) == "ann"


def test_attempts_are_counted_by_address_for_a_minute(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(attempts, "monotonic", lambda: clock[0])
    counted = Attempts()
    for _ in range(attempts.MOST):
        assert counted.wait_s("192.0.2.1") == 0
        counted.failed("192.0.2.1")

    assert counted.wait_s("192.0.2.1") == pytest.approx(60)
    assert counted.wait_s("192.0.2.2") == 0
    clock[0] += 61
    assert counted.wait_s("192.0.2.1") == 0


def test_a_whole_network_of_addresses_counts_as_one():
    counted = Attempts()
    for number in range(attempts.MOST):
        counted.failed(f"2001:db8::{number:x}")

    assert counted.wait_s("2001:db8::ffff") > 0
    assert counted.wait_s("2001:db8:0:1::1") == 0
    assert counted.wait_s("unknown") == 0


def test_only_so_many_addresses_are_remembered(monkeypatch):
    monkeypatch.setattr(attempts, "_MOST_ADDRESSES", 100)
    counted = Attempts()
    for number in range(1000):
        counted.failed(f"10.0.{number // 256}.{number % 256}")

    assert len(counted._failures) == 100
