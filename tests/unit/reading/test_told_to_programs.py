"""Steps, errors and data as programs are told them, also where something of them cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import Action, ExecutionPlan, StepState
from dynflow_mp.model.codec import encode
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.reading.concealment import shown_error_of
from dynflow_mp.reading.data_shape import action_data_shapes
from dynflow_mp.reading.error_shape import error_shape
from dynflow_mp.reading.step_shape import step_shape, whole_step_shape

CARD = "4111-c4rd-1111"
SAYS_TOO_MUCH = ErrorRecord("shop.Declined", f"no money on {CARD}", ("line 1",), None).to_bytes()


class Pays(Action):
    sensitive = ("card",)

    def run(self) -> None: ...


class PaysAndThanks(Action):
    def plan(self, **given: Any) -> None:
        paid = self.plan_action(Pays, **given)
        self.plan_action(Pays, receipt=paid.output["receipt"])


@pytest.fixture
def shelf() -> PlanShelf:
    shelf = shelf_with(Pays, card=CARD, at=datetime(2026, 3, 1, tzinfo=UTC))
    shelf.change_step(2, state=StepState.ERROR, error=SAYS_TOO_MUCH)
    return shelf


def failed(shelf: PlanShelf) -> tuple[Any, ExecutionPlan]:
    plan = ExecutionPlan.load(PLAN_ID, shelf)  # type: ignore[arg-type]
    return plan.steps[2], plan


def test_what_is_told_of_a_step_is_json_without_secrets(shelf: PlanShelf) -> None:
    shelf.load_attempts = lambda plan_id, step_id: []  # type: ignore[attr-defined]
    step, plan = failed(shelf)

    told = whole_step_shape(step, plan)

    assert json.loads(json.dumps(told)) == told
    assert told["input"] == {"card": "***", "at": {"$datetime": "2026-03-01T00:00:00+00:00"}}
    assert (told["error"]["class"], told["error"]["message"]) == ("shop.Declined", "no money on ***")
    assert (told["plan_id"], told["state"]) == (PLAN_ID, "error")
    assert step_shape(step, None).items() <= (told | {"error": None}).items()


def test_an_output_that_is_not_there_yet_is_a_reference() -> None:
    plan = ExecutionPlan.load(PLAN_ID, shelf_with(PaysAndThanks, card=CARD))  # type: ignore[arg-type]

    given, _ = action_data_shapes(plan, 3)

    assert given == {"receipt": {"$reference": "Step(3).output['receipt']"}}


def test_an_error_that_cannot_be_read_says_so(shelf: PlanShelf) -> None:
    shelf.change_step(2, error=b"\xc1")
    step, plan = failed(shelf)

    for error in (shown_error_of(step, plan), shown_error_of(step)):
        told = error_shape(error)
        assert told is not None
        assert told["class"] == "dynflow_mp.errors.DamagedData"
        assert told["message"]


@pytest.mark.parametrize("gone", [True, False])
def test_where_nobody_knows_what_is_secret_nothing_is_told_but_why(shelf: PlanShelf, gone: bool) -> None:
    if gone:
        shelf.actions.clear()
    else:
        shelf.change_action(1, input=b"\xc1", output=encode({}, "output"))
    step, plan = failed(shelf)

    error, data = error_shape(shown_error_of(step, plan)), action_data_shapes(plan, 1)

    assert error is not None
    assert error["class"] == ("dynflow_mp.errors.InvalidPlan" if gone else "dynflow_mp.errors.DamagedData")
    assert data == ({"cannot be shown": error["message"]},) * 2
    assert CARD not in str((error, data))
