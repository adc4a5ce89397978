"""Which values are not shown, and that they are not."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, TypedDict

import pytest

from dynflow_mp import Action, redaction
from dynflow_mp.actions.failure import record_of
from dynflow_mp.actions.formats import format_of
from dynflow_mp.actions.phases import run_step
from dynflow_mp.errors import DataError, DefinitionError, FormatError
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import Envelope, Event
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, OutputChunk, StepJob
from dynflow_mp.redaction import MASK, hide_also, is_sensitive, redacted, secrets_in, without

CANARY = "hunter2-canary-7f3a"


@pytest.mark.parametrize(
    "key",
    [
        *("password", "PASSWORD", "db_password", "dbPassword", "user-password", "passwords", "passwd"),
        *("secret", "client_secret", "clientSecret", "api_key", "apiKey", "API-KEY", "x-api-key", "apikey"),
        *("token", "auth_token", "accessToken", "Authorization", "private_key", "privateKey", "credentials"),
        *("aws_secret_access_key", "cookie", "pwd", "cvv"),
    ],
)
def test_g41_telling_keys_are_known(key: str) -> None:
    assert is_sensitive(key)


@pytest.mark.parametrize(
    "key",
    ["author", "max_tokens", "tokens", "key", "keyboard", "public_key", "compass", "host", "passenger", ""],
)
def test_ordinary_keys_are_shown(key: str) -> None:
    assert not is_sensitive(key)


def test_g41_data_is_shown_without_what_is_under_telling_keys() -> None:
    data = {
        "host": "db",
        "password": CANARY,
        "nested": [{"api_key": CANARY, "port": 1}, {"tokens": [1, 2]}],
        "credentials": {"user": "u", "pin": 1234},
    }

    assert redacted(data) == {
        "host": "db",
        "password": MASK,
        "nested": [{"api_key": MASK, "port": 1}, {"tokens": [1, 2]}],
        "credentials": MASK,
    }
    assert data["password"] == CANARY


def test_g41_a_class_may_name_further_places() -> None:
    data = {"card": {"number": CANARY, "month": 5}, "cards": [{"number": CANARY}], "number": 7}

    shown = redacted(data, ("card.number", "cards.number"))

    assert shown == {"card": {"number": MASK, "month": 5}, "cards": [{"number": MASK}], "number": 7}


def test_data_that_is_very_deep_is_not_followed_to_its_end() -> None:
    deep: Any = CANARY
    for _ in range(5_000):
        deep = [deep]

    assert CANARY not in str(redacted(deep))
    assert secrets_in({"password": deep}) == frozenset()


def test_g41_secrets_are_found_again_in_text() -> None:
    secrets = secrets_in({"password": CANARY, "pin_secret": 987654, "secret": ["line\nbreak", "x"]})

    text = without(f"{CANARY} and 987654 and {'line' + chr(10) + 'break'!r}; x stays", secrets)

    assert text == f"{MASK} and {MASK} and '{MASK}'; x stays"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://scott:tiger@db/x fails", f"postgresql://scott:{MASK}@db/x fails"),
        ("redis://:p%40ss@cache", f"redis://:{MASK}@cache"),
        ("amqp://u:a@b@host", f"amqp://u:{MASK}@host"),
        ("https://example.org:443/a@b", "https://example.org:443/a@b"),
        ("password=tiger host=x", f"password={MASK} host=x"),
        ("{'api_key': 'abc', 'a': 1}", f"{{'api_key': {MASK}, 'a': 1}}"),
        ("the password is wrong", "the password is wrong"),
    ],
)
def test_g41_passwords_in_urls_and_pairs_are_masked(text: str, shown: str) -> None:
    assert without(text) == shown


def test_settings_name_further_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_also", ())
    is_sensitive.cache_clear()
    assert not is_sensitive("patient_name")

    hide_also(["patient"])

    assert is_sensitive("patient_name")
    monkeypatch.undo()
    is_sensitive.cache_clear()


# -- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2**64 + 123456789, datetime(2031, 5, 6)])
def test_g41_data_that_cannot_be_stored_is_named_but_not_shown(value: Any) -> None:
    with pytest.raises(DataError) as raised:
        encode({"login": {"password": value}}, "input")

    assert "input['login']['password']" in str(raised.value)
    assert str(value) not in str(raised.value)
    assert MASK in str(raised.value)


def test_ordinary_data_that_cannot_be_stored_is_shown() -> None:
    with pytest.raises(DataError, match="nan"):
        encode({"height": math.nan}, "input")


class Login(TypedDict):
    host: int
    password: int
    pin: int
    deep: dict[str, int]


class LogsIn(Action):
    sensitive = ("pin", "deep.inner")

    def run(self) -> None:
        raise ValueError(
            f"cannot log in with {self.input['password']!r}, {self.input['pin']} or {self.input['deep']}"
        )


class LogsInOfAForm(LogsIn):
    input_format = Login


@pytest.mark.parametrize(
    "data",
    [
        {"host": 1, "password": CANARY, "pin": 1, "deep": {}},
        {"host": 1, "password": 1, "pin": CANARY, "deep": {}},
        {"host": 1, "password": 1, "pin": 1, "deep": {"inner": CANARY}},
        {"host": 1, "password": 1, "pin": 1, "deep": [{"inner": CANARY}]},
        {"host": {"password": CANARY}, "password": 1, "pin": 1, "deep": {}},
    ],
)
def test_g41_data_of_another_form_is_named_but_not_shown(data: dict[str, Any]) -> None:
    form = format_of(LogsInOfAForm, "input_format")
    assert form is not None

    with pytest.raises(FormatError) as raised:
        form.check(data)

    assert CANARY not in str(raised.value)


def test_g41_a_failed_step_does_not_repeat_what_its_input_hides() -> None:
    data = {"password": CANARY, "pin": "4711-4711", "deep": {"inner": "deep-secret", "outer": "shown"}}
    job = StepJob("plan", 1, 1, 1, f"{__name__}.LogsIn", encode(data, "input"))

    outcome = run_step(job)

    assert outcome.error is not None
    record = ErrorRecord.from_bytes(outcome.error)
    text = "\n".join((record.message, *record.backtrace))
    assert record.message.startswith("cannot log in with")
    assert "shown" in record.message
    for secret in (CANARY, "4711-4711", "deep-secret"):
        assert secret not in text


def test_g41_an_error_that_quotes_a_database_url_hides_its_password() -> None:
    record = record_of(ConnectionError(f"no route to postgresql://app:{CANARY}@db/plans"))

    assert record.message == f"no route to postgresql://app:{MASK}@db/plans"


@pytest.mark.parametrize("sensitive", ["card", ("",), ("card..number",), (1,), None])
def test_a_class_that_names_no_paths_is_refused(sensitive: Any) -> None:
    with pytest.raises(DefinitionError, match="tuple of paths"):
        type("Wrong", (Action,), {"sensitive": sensitive})


# -- reprs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        Event("plan", 1, CANARY.encode()),
        Envelope("a", "b", "c", Event("plan", 1, CANARY.encode())),
        StepJob("plan", 1, 1, 1, "A", CANARY.encode(), producers={1: CANARY.encode()}),
        FinalizeJob("plan", (FinalizePart(1, 1, 1, "A", CANARY.encode(), None, None),), {1: CANARY.encode()}),
        OutputChunk(CANARY.encode(), None, 0, 1),
    ],
)
def test_g41_values_with_users_bytes_tell_their_length_only(value: Any) -> None:
    assert CANARY not in repr(value)
    assert f"<{len(CANARY)} bytes>" in repr(value)
