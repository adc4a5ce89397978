"""What actions show of themselves to people, and that nothing they do keeps anybody from reading."""

from __future__ import annotations

import pytest
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import Action, ExecutionPlan, Middleware, WrongPhase
from dynflow_mp.actions.action import action_in
from dynflow_mp.actions.context import Context
from dynflow_mp.model.codec import encode
from dynflow_mp.model.states import Phase, StepState


class Plain(Action):
    def run(self) -> None:
        pass


class Presented(Plain):
    def humanized_state(self) -> str:
        return f"{self.state}: {self.output['left']} left"

    def summary(self) -> str:
        return f"Counts to {self.input['to']}"


class Masks(Middleware):
    def present(self) -> None:
        self.action.input["password"] = "***"
        self.action.output = {"shown": True}
        self.pass_on()


class Masked(Plain):
    middleware = (Masks,)


class Breaks(Middleware):
    def present(self) -> None:
        raise ValueError("out of ink")


class Broken(Plain):
    middleware = (Breaks,)


class Parent(Action):
    def plan(self) -> None:
        self.plan_action(Plain)


def loaded(shelf: PlanShelf) -> ExecutionPlan:
    return ExecutionPlan.load(PLAN_ID, shelf)


class Leaves(Plain):
    def summary(self) -> str:
        self.error("nothing to say")


class Fails(Middleware):
    def present(self) -> None:
        self.action.error("nothing to show")


class Failing(Plain):
    middleware = (Fails,)


def test_who_looks_at_an_action_is_not_thrown_out_by_error() -> None:
    assert "cannot be shown" in loaded(shelf_with(Leaves)).presentation(1).summary
    assert list(loaded(shelf_with(Failing)).entry_action.output) == ["cannot be shown"]


def test_an_action_says_its_state_as_it_is() -> None:
    shelf = shelf_with(Plain)
    plan = loaded(shelf)

    assert plan.presentation(1) == ("pending", "", 0.0)
    assert plan.entry_action.humanized_state() == "pending"


def test_a_class_presents_itself() -> None:
    shelf = shelf_with(Presented, to=9)
    shelf.change_step(2, state=StepState.SUSPENDED, progress_done=0.25)
    shelf.change_action(1, output=encode({"left": 3}, "output"))
    plan = ExecutionPlan.load(PLAN_ID, shelf)

    assert plan.presentation(1) == ("suspended: 3 left", "Counts to 9", 0.25)


def test_a_presenter_that_raises_is_shown_as_its_error() -> None:
    shelf = shelf_with(Presented)
    plan = loaded(shelf)

    assert plan.presentation(1) == (
        "cannot be shown: KeyError: 'left'",
        "cannot be shown: KeyError: 'to'",
        0.0,
    )


def test_b241_present_middleware_changes_what_is_shown_and_nothing_stored() -> None:
    shelf = shelf_with(Masked, password="swordfish")
    plan = loaded(shelf)

    assert plan.entry_action.input == {"password": "***"}
    assert plan.entry_action.output == {"shown": True}
    assert b"swordfish" in shelf.actions[1].input


def test_middleware_that_raises_hides_what_it_may_have_been_there_to_hide() -> None:
    shelf = shelf_with(Broken, password="swordfish")
    plan = loaded(shelf)

    assert plan.entry_action.input == {"cannot be shown": "ValueError: out of ink"}
    assert plan.entry_action.output == plan.entry_action.input


def test_w16_an_action_knows_who_planned_it() -> None:
    shelf = shelf_with(Parent)
    plan = loaded(shelf)

    assert plan.action(2).caller_action is plan.entry_action
    assert plan.entry_action.caller_action is None


def test_w16_an_action_of_a_sub_plan_knows_who_made_its_plan() -> None:
    shelf = shelf_with(Plain)
    plan = loaded(shelf)
    shelf.change_action(1, caller_execution_plan_id="elsewhere", caller_action_id=4)

    assert ExecutionPlan.load(PLAN_ID, shelf).entry_action.caller_action is None
    assert plan.entry_action.caller_action is None


def test_state_and_caller_are_for_those_who_read() -> None:
    class Running(Context):
        phase = Phase.RUN

    action = action_in(Plain, Running())
    for ask in (lambda: action.state, lambda: action.caller_action, action.humanized_state):
        with pytest.raises(WrongPhase):
            ask()


def test_output_chunks_are_read_from_where_the_plan_is() -> None:
    from dynflow_mp.persistence.rows import ChunkRow

    shelf = shelf_with(Plain)
    plan = loaded(shelf)
    shelf.chunks = [ChunkRow("log", encode("a", "chunk"), 1_000_000), ChunkRow(None, encode(2, "chunk"), 2)]

    assert [(chunk.value, chunk.kind) for chunk in plan.entry_action.output_chunks()] == [
        ("a", "log"),
        (2, None),
    ]
    assert [chunk.value for chunk in plan.entry_action.output_chunks("log")] == ["a"]


def test_b326_text_in_an_output_is_plain_text() -> None:
    shelf = shelf_with(Plain)
    shelf.change_action(1, output=encode({"text": "grüße", "blob": b"x"}, "output"))

    output = loaded(shelf).entry_action.output

    assert (type(output["text"]), type(output["blob"])) == (str, bytes)
