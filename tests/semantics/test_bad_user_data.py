"""G35, G36: data of users that cannot be stored ends in a clear error that names its place; the rest goes on."""

from __future__ import annotations

import math
import uuid
from datetime import datetime
from typing import Any

import pytest

from dynflow_mp import Action
from dynflow_mp.errors import DataError, PayloadTooLarge, PlanningError
from dynflow_mp.model.codec import MAX_DEPTH, MAX_PAYLOAD, decode, encode
from dynflow_mp.testing import InThreadWorld


@pytest.fixture(scope="module")
def world():
    """One for all: whatever it was given, it goes on."""
    with InThreadWorld() as world:
        yield world


WHERE = "output['users'][3]['created_at']"


class Anything:
    """Something that no codec knows, and that does not even say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("not even this")


def a_cycle() -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["itself"] = [cycle]
    return cycle


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


BAD = {
    "nan": (lambda: math.nan, f"{WHERE}: the float nan is not finite"),
    "infinity": (lambda: math.inf, f"{WHERE}: the float inf is not finite"),
    "minus infinity": (lambda: [1.0, -math.inf], f"{WHERE}[1]: the float -inf is not finite"),
    "65 bits": (lambda: 2**64, f"{WHERE}: the integer 18446744073709551616 needs more than 64 bits"),
    "below 64 bits": (
        lambda: -(2**63) - 1,
        f"{WHERE}: the integer -9223372036854775809 needs more than 64 bits",
    ),
    "5,000 digits": (lambda: 10**5000, f"{WHERE}: the integer … needs more than 64 bits"),
    "set": (lambda: {1}, f"{WHERE}: a builtins.set cannot be stored"),
    "object": (Anything, f"{WHERE}: a test_bad_user_data.Anything cannot be stored"),
    "complex": (lambda: 1j, f"{WHERE}: a builtins.complex cannot be stored"),
    "generator": (lambda: (number for number in [1]), f"{WHERE}: a builtins.generator cannot be stored"),
    "function": (lambda: nested, f"{WHERE}: a builtins.function cannot be stored"),
    "class": (lambda: Anything, f"{WHERE}: a builtins.type cannot be stored"),
    "exception": (lambda: ValueError("x"), f"{WHERE}: a builtins.ValueError cannot be stored"),
    "naive datetime": (
        lambda: datetime(2026, 1, 1),
        f"{WHERE}: the datetime 2026-01-01 00:00:00 has no time zone",
    ),
    "key of int": (
        lambda: {1: "one", "1": "one, too"},
        f"{WHERE}: the key 1 is of type int; keys must be text",
    ),
    "key of None": (lambda: {None: 1}, f"{WHERE}: the key None is of type NoneType; keys must be text"),
    "key of bytes": (lambda: {b"k": 1}, f"{WHERE}: the key b'k' is of type bytes; keys must be text"),
    "key of tuple": (lambda: {(1, 2): 1}, f"{WHERE}: the key (1, 2) is of type tuple; keys must be text"),
    "surrogate": (lambda: "\ud800", f"{WHERE}: text that is no valid Unicode"),
    "surrogate in key": (lambda: {"\udfff": 1}, f"{WHERE}: text that is no valid Unicode"),
    "too deep": (lambda: nested(MAX_DEPTH), f"nested deeper than {MAX_DEPTH} levels"),
    "1,000 deep": (lambda: nested(1_000), f"nested deeper than {MAX_DEPTH} levels"),
    "100,000 deep": (lambda: nested(100_000), f"nested deeper than {MAX_DEPTH} levels"),
    "cyclic": (a_cycle, f"nested deeper than {MAX_DEPTH} levels"),
}


class Writes(Action):
    """Writes one of these into its output, deep inside."""

    def run(self, event: Any = None) -> None:
        make, _ = BAD[self.input["what"]]
        users: list[Any] = [{} for _ in range(4)]
        users[3] = {"created_at": make()}
        self.output["users"] = users


class Listens(Action):
    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()
        self.output.update(event=event, given=self.input["given"])


class Fine(Action):
    def run(self) -> None:
        self.output["fine"] = True


class WritesThenFine(Action):
    def plan(self, what: str) -> None:
        with self.concurrence():
            self.plan_action(Writes, what=what)
            self.plan_action(Fine)


@pytest.mark.parametrize("what", BAD)
def test_g35_an_output_that_cannot_be_stored_is_the_step_s_error_with_its_place(world, what):
    _, words = BAD[what]

    plan = world.run(WritesThenFine, what)

    (failed,) = plan.failed_steps
    assert failed.action_class.endswith("Writes")
    assert failed.error.exception_class == "dynflow_mp.errors.DataError"
    assert words in failed.error.message
    assert len(failed.error.message) < 3_000
    assert (plan.state, plan.result) == ("paused", "error")
    assert [action.output for action in plan.actions if action.output] == [{"fine": True}]


@pytest.mark.parametrize("size", [1, 1_000, 1_000_000, MAX_PAYLOAD - 100])
def test_g36_what_is_within_the_limit_is_kept_whole(size):
    data = {"text": "x" * size}

    assert decode(encode(data, "output")) == data


@pytest.mark.parametrize("size", [MAX_PAYLOAD, 16 * 1024 * 1024, 64 * 1024 * 1024])
def test_g36_what_is_over_the_limit_is_refused_with_both_sizes(size):
    with pytest.raises(
        PayloadTooLarge, match=r"output: [\d,]+ bytes are more than max_payload \(4,194,304 bytes\)"
    ):
        encode({"text": "x" * size}, "output")


@pytest.mark.parametrize(
    "value",
    [
        "\0",
        "a\0b",
        "\x1b[31mred\x1b[0m",
        "\u202egnirts",
        "<script>alert(1)</script>",
        "'; DROP TABLE dynflow_steps; --",
        "line\nbreak\r\n\t",
        "\U0001f600\U0010ffff\ufeff",
        "e\u0301",
        "",
        b"\x00\xff\xfe",
        {"": {"": ""}},
        {"\0": "\0", "a.b": 1, "$ref": 2, "__class__": "os.system", "__reduce__": "x"},
        [True, False, None, 0, -0.0, 1e308, 5e-324, 2**64 - 1, -(2**63)],
        str(uuid.UUID(int=0)),
    ],
    ids=repr,
)
def test_g35_odd_data_that_can_be_stored_comes_back_as_it_was(world, value):
    """As input, as event, and as output: in all three of them."""
    triggered = world.trigger(Listens, given=value)
    assert world.event(triggered.id, 2, value).result() is True

    plan = triggered.finished.result()

    assert plan.entry_action.input == {"given": value}
    assert plan.entry_action.output == {"event": value, "given": value}


@pytest.mark.parametrize("what", BAD)
def test_g35_an_event_that_cannot_be_stored_is_refused_and_its_step_waits_on(world, what):
    make, words = BAD[what]
    triggered = world.trigger(Listens, given=1)

    with pytest.raises(DataError) as refused:
        world.event(triggered.id, 2, {"users": [{}, {}, {}, {"created_at": make()}]})

    assert words.replace("output", "event") in str(refused.value)
    assert world.event(triggered.id, 2, "fine").result() is True
    assert triggered.finished.result().result == "success"


@pytest.mark.parametrize("what", BAD)
def test_g35_an_input_that_cannot_be_stored_ends_the_plan_before_it_runs(world, what):
    make, words = BAD[what]

    refused = world.trigger(Listens, users=[{}, {}, {}, {"created_at": make()}])

    assert not refused.triggered
    assert words.replace("output", "input") in str(refused.error)
    assert world.run(Fine).result == "success"


class Called(Action):
    """Its label is what it is given."""

    name = "Called"

    def label(self) -> str:
        return Called.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two\nlines", r"has a control character ('\n') at position 3"),
        ("\x1b[31mred", r"has a control character ('\x1b') at position 0"),
        ("nothing\0", r"has a control character ('\x00') at position 7"),
        ("half \ud800", r"has half a character ('\ud800') at position 5"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_a_label_that_is_no_line_of_text_is_refused_by_name(world, monkeypatch, name, words, later):
    monkeypatch.setattr(Called, "name", name)

    if later:
        with pytest.raises(PlanningError) as raised:
            world.delay(Called)
        error = raised.value
    else:
        error = world.trigger(Called).error

    assert f"the label of Called {words}" in str(error)


def test_other_labels_are_kept_and_long_ones_are_cut(world, monkeypatch):
    for name in ("<script>", "\u202egnirts", "straße \U0001f600", "x" * 10_000):
        monkeypatch.setattr(Called, "name", name)

        plan = world.run(Called)

        assert (plan.result, plan.label) == ("success", name[:255])
