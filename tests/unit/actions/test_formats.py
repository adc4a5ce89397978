"""W25: inputs and outputs that are not of the form their class says are errors that name place, wanted and found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from itertools import count
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pydantic
import pytest

from dynflow_mp import Action, DefinitionError, FormatError
from dynflow_mp.actions.formats import Format
from dynflow_mp.actions.phases import run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import encode
from dynflow_mp.model.work import ErrorRecord, StepJob
from dynflow_mp.planning.planner import plan

PLAN_ID = "0193f0c5-0000-7000-8000-000000000001"


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Address:
    street: str
    number: int = 1
    tags: list[str] = field(default_factory=list)
    parent: Address | None = None


class Order(TypedDict):
    name: str
    hosts: list[int]
    price: float
    address: NotRequired[Address]
    size: NotRequired[Size]
    kind: NotRequired[Literal["new", "old"]]
    since: NotRequired[datetime | None]
    limits: NotRequired[dict[str, Annotated[int, "positive"]]]
    pair: NotRequired[tuple[int, str]]
    anything: NotRequired[Any]


class Model(pydantic.BaseModel):
    name: str
    hosts: list[int] = []


GOOD: dict[str, Any] = {"name": "a", "hosts": [1, 2], "price": 3}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"price": 3.5, "unasked": object},
        {"address": {"street": "x", "parent": {"street": "y"}}},
        {"size": "l", "kind": "old", "since": None},
        {"since": datetime.now(UTC), "limits": {"cpu": 3}, "pair": [1, "b"], "anything": [{}]},
    ],
)
def test_what_is_of_the_form_passes(more: dict[str, Any]) -> None:
    Format(Order, "input").check({**GOOD, **more})


@pytest.mark.parametrize(
    ("more", "path", "expected", "found"),
    [
        ({"hosts": [1, "x"]}, "input['hosts'][1]", "int", "str 'x'"),
        ({"hosts": [True]}, "input['hosts'][0]", "int", "bool True"),
        ({"hosts": "12"}, "input['hosts']", "list[int]", "str '12'"),
        ({"name": None}, "input['name']", "str", "None"),
        ({"price": True}, "input['price']", "float", "bool True"),
        ({"address": {}}, "input['address']['street']", "str", "nothing"),
        ({"address": {"street": 3}}, "input['address']['street']", "str", "int 3"),
        (
            {"address": {"street": "x", "parent": {"street": 1}}},
            "input['address']['parent']['street']",
            "str",
            "int 1",
        ),
        ({"size": "m"}, "input['size']", "one of 's', 'l'", "str 'm'"),
        ({"kind": "odd"}, "input['kind']", "one of 'new', 'old'", "str 'odd'"),
        ({"since": "today"}, "input['since']", "datetime.datetime | None", "str 'today'"),
        ({"limits": {"cpu": "3"}}, "input['limits']['cpu']", "int", "str '3'"),
        ({"pair": [1]}, "input['pair']", "tuple[int, str]", "list [1]"),
        ({"pair": [1, 2]}, "input['pair'][1]", "str", "int 2"),
    ],
)
def test_what_is_not_is_named(more: dict[str, Any], path: str, expected: str, found: str) -> None:
    with pytest.raises(FormatError) as refused:
        Format(Order, "input").check({**GOOD, **more})

    error = refused.value
    assert (error.path, error.expected, error.found) == (path, expected, found)
    assert str(error).startswith(f"{path}: expected {expected}, found {found} (")


def test_a_model_of_pydantic_is_asked() -> None:
    Format(Model, "output").check({"name": "a", "hosts": [1]})

    with pytest.raises(FormatError) as refused:
        Format(Model, "output").check({"name": "a", "hosts": [1, "x"]})
    assert (refused.value.path, refused.value.found) == ("output['hosts'][1]", "str 'x'")
    with pytest.raises(FormatError, match=r"output\['name'\]: .*found nothing"):
        Format(Model, "output").check({})


@pytest.mark.parametrize("wrong", [int, "Order", list[int], {"name": str}])
def test_what_is_no_form_is_refused_when_the_class_is_defined(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="output_format is"):
        type("Odd", (Action,), {"output_format": wrong}, abstract=True)


# -- where it is checked -----------------------------------------------------------------------------


class Ship(Action):
    input_format = Order
    output_format = Address

    def run(self, event: Any = None) -> None:
        if self.input["name"] == "wait" and event is None:
            self.suspend()
        self.output.update(self.input.get("address", {}))


class ShipModel(Action):
    input_format = Model

    def run(self) -> None:
        pass


class Make(Action):
    def run(self) -> None:
        self.output["hosts"] = [1]


class Both(Action):
    def plan(self, kind: type[Action], **values: Any) -> None:
        made = self.plan_action(Make)
        self.plan_action(kind, **{**values, "hosts": made.output["hosts"]})


def planned(kind: type[Action], *args: Any, **kwargs: Any) -> Any:
    clock = count(1_000_000, 1_000)
    return plan(kind, args, kwargs, now=lambda: next(clock), new_id=lambda: PLAN_ID)


def run(values: dict[str, Any], kind: type[Action] = Ship) -> Any:
    return run_step(StepJob(PLAN_ID, 2, 1, 1, name_of(kind), encode(values, "input")))


def test_an_input_is_checked_when_it_is_planned() -> None:
    assert planned(Ship, **GOOD).error is None
    failed = planned(Ship, **{**GOOD, "hosts": [None]})

    assert isinstance(failed.error, FormatError)
    assert failed.error.path == "input['hosts'][0]"
    assert (failed.plan.state, failed.plan.result) == ("stopped", "error")


@pytest.mark.parametrize("kind", [Ship, ShipModel])
def test_a_reference_may_become_anything_while_the_rest_is_checked(kind: type[Action]) -> None:
    assert planned(Both, kind, name="a", price=1).error is None
    assert isinstance(planned(Both, kind, name=1, price=1).error, FormatError)


def test_what_references_have_become_is_checked_before_run() -> None:
    outcome = run({**GOOD, "hosts": {}})

    record = ErrorRecord.from_bytes(outcome.error)
    assert outcome.state == "error"
    assert record.exception_class == name_of(FormatError)
    assert record.message.startswith("input['hosts']: expected list[int], found dict {}")


def test_an_output_is_checked_once_run_has_ended_well() -> None:
    assert run({**GOOD, "address": {"street": "x"}}).state == "success"
    assert run({**GOOD, "name": "wait"}).state == "suspended"
    outcome = run(GOOD)

    assert outcome.state == "error"
    message = ErrorRecord.from_bytes(outcome.error).message
    assert message.startswith("output['street']: expected str, found nothing")


def test_without_a_model_pydantic_is_not_imported() -> None:
    program = "import sys; import dynflow_mp.actions.phases, dynflow_mp.planning.planner; print('pydantic' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "False"
