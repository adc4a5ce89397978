"""A job in, an outcome out: whatever user code does."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from dynflow_mp import Action
from dynflow_mp.actions.failure import MAX_LINE, MAX_MESSAGE, record_of
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, StepJob, StepOutcome

PLAN = "0193f0c5-0000-7000-8000-000000000001"


def job(kind: type[Action] | str, values: dict[str, Any] | None = None, **fields: Any) -> StepJob:
    name = kind if isinstance(kind, str) else name_of(kind)
    return StepJob(PLAN, 2, 1, 1, name, encode(values or {}, "input"), **fields)


def part(
    kind: type[Action], step_id: int, values: dict[str, Any] | None = None, **fields: Any
) -> FinalizePart:
    given = {"references": None, "output": None, **fields}
    return FinalizePart(step_id, step_id, 1, name_of(kind), encode(values or {}, "input"), **given)


def error_of(outcome: StepOutcome) -> ErrorRecord:
    assert outcome.state == "error"
    assert outcome.error is not None
    return ErrorRecord.from_bytes(outcome.error)


def output_of(outcome: StepOutcome) -> Any:
    assert outcome.output is not None
    return decode(outcome.output)


def acting(run: Any, **facts: Any) -> type[Action]:
    """An action class with this ``run``."""
    return type("Acting", (Action,), {"run": run, "__module__": "shop", **facts})


# -- success -----------------------------------------------------------------------------------------


class Sum(Action):
    def run(self) -> None:
        self.output["sum"] = self.input["a"] + self.input["b"]


def test_run_reads_the_input_and_writes_the_output() -> None:
    outcome = run_step(job(Sum, {"a": 1, "b": 2}))

    assert (outcome.step_id, outcome.state, outcome.error, outcome.input) == (2, "success", None, None)
    assert output_of(outcome) == {"sum": 3}
    assert outcome.execution_time > 0
    assert outcome.ended_at > 1_700_000_000_000_000


def test_an_output_that_nobody_touched_is_not_sent() -> None:
    assert run_step(job(acting(lambda self: None))).output is None


@pytest.mark.parametrize("before", [None, encode({"n": 1}, "output")])
def test_an_output_that_was_only_read_is_not_sent(before: bytes | None) -> None:
    outcome = run_step(job(acting(lambda self: self.output.get("n")), output=before))

    assert outcome.output is None


def test_an_output_may_be_replaced_as_a_whole() -> None:
    def run(self: Any) -> None:
        self.output = {"new": True}

    assert output_of(run_step(job(acting(run), output=encode({"old": 1}, "o")))) == {"new": True}


def test_output_of_an_earlier_call_is_there() -> None:
    def run(self: Any) -> None:
        self.output["calls"] = self.output.get("calls", 0) + 1

    assert output_of(run_step(job(acting(run), output=encode({"calls": 1}, "o")))) == {"calls": 2}


def test_the_action_knows_who_it_is() -> None:
    def run(self: Any) -> None:
        self.output.update(
            plan=self.execution_plan_id, id=self.id, step=self.run_step_id, phase=str(self.phase)
        )

    assert output_of(run_step(job(acting(run)))) == {"plan": PLAN, "id": 1, "step": 2, "phase": "run"}


# -- references --------------------------------------------------------------------------------------


def references(*entries: tuple[list[Any], int, int, list[Any]]) -> bytes:
    return encode([list(entry) for entry in entries], "references")


def keep(self: Any) -> None:
    self.output["seen"] = self.input


def test_references_are_resolved_and_the_input_comes_back() -> None:
    made = {7: encode({"users": [{"name": "Ada"}], "ok": True}, "output")}
    places = references((["who", 0], 3, 7, ["users", 0, "name"]), (["all"], 3, 7, []))

    outcome = run_step(
        job(acting(keep), {"who": [None, "Bob"], "all": None}, references=places, producers=made)
    )

    expected = {"who": ["Ada", "Bob"], "all": {"users": [{"name": "Ada"}], "ok": True}}
    assert outcome.input is not None
    assert decode(outcome.input) == expected
    assert output_of(outcome) == {"seen": expected}


def test_two_references_to_one_output_do_not_share_it() -> None:
    def run(self: Any) -> None:
        self.input["a"]["list"].append(1)
        self.output["b"] = self.input["b"]

    made = {7: encode({"list": []}, "output")}
    places = references((["a"], 3, 7, []), (["b"], 3, 7, []))

    outcome = run_step(job(acting(run), {"a": None, "b": None}, references=places, producers=made))

    assert output_of(outcome) == {"b": {"list": []}}


def test_a_producer_that_wrote_nothing_has_an_empty_output() -> None:
    outcome = run_step(job(acting(keep), {"x": None}, references=references((["x"], 3, 7, [])), producers={}))

    assert output_of(outcome) == {"seen": {"x": {}}}


@pytest.mark.parametrize(
    ("subkeys", "message"),
    [
        (["nothing"], "Step(3).output has no key 'nothing', which input['x'] needs; it has 'users'"),
        (["users", 5], "Step(3).output['users'] has no key '5', which input['x'] needs; it is a list of 1"),
        (
            ["users", 0, "name", "first"],
            "Step(3).output['users'][0]['name'] has no key 'first', which input['x'] needs; it is of type str",
        ),
    ],
)
def test_a_missing_key_is_an_ordinary_step_error(subkeys: list[Any], message: str) -> None:
    """Core W1: the step fails, and nothing behind it runs."""
    made = {7: encode({"users": [{"name": "Ada"}]}, "output")}

    outcome = run_step(
        job(acting(keep), {"x": None}, references=references((["x"], 3, 7, subkeys)), producers=made)
    )

    error = error_of(outcome)
    assert (error.exception_class, error.message) == ("dynflow_mp.errors.MissingOutput", message)
    assert outcome.input is None


def test_the_resolved_input_comes_back_even_if_the_step_fails() -> None:
    def run(self: Any) -> None:
        raise ValueError("after all")

    outcome = run_step(job(acting(run), {"x": None}, references=references((["x"], 3, 7, [])), producers={}))

    assert outcome.input is not None
    assert decode(outcome.input) == {"x": {}}


# -- failure -----------------------------------------------------------------------------------------


class ShopError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ValueError("bad"), "ValueError", "bad"),
        (ShopError("closed"), f"{__name__}.ShopError", "closed"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (RecursionError("deep"), "RecursionError", "deep"),
    ],
)
def test_any_exception_is_the_steps_error(error: BaseException, name: str, message: str) -> None:
    def run(self: Any) -> None:
        raise error

    outcome = run_step(job(acting(run)))

    assert error_of(outcome)[:2] == (name, message)
    assert __file__ in error_of(outcome).backtrace[0]


def test_error_with_a_text_is_not_stopped_by_except_exception() -> None:
    def run(self: Any) -> None:
        try:
            self.error("no disk")
        except Exception:
            self.output["swallowed"] = True

    outcome = run_step(job(acting(run)))

    assert error_of(outcome)[:2] == ("dynflow_mp.errors.StepError", "no disk")
    assert outcome.output is None


def test_error_with_an_exception_keeps_its_class() -> None:
    outcome = run_step(job(acting(lambda self: self.error(ShopError("closed")))))

    assert error_of(outcome).exception_class == f"{__name__}.ShopError"


def test_what_a_failed_call_wrote_is_kept() -> None:
    def run(self: Any) -> None:
        self.output["half"] = "done"
        raise ValueError

    assert output_of(run_step(job(acting(run)))) == {"half": "done"}


@dataclass
class Opaque:
    text: str


def test_b010_an_output_that_cannot_be_stored_is_a_step_error_that_names_its_place() -> None:
    def run(self: Any) -> None:
        self.output["users"] = [1, 2, 3, Opaque("x")]

    outcome = run_step(job(acting(run)))

    assert error_of(outcome).exception_class == "dynflow_mp.errors.DataError"
    assert error_of(outcome).message.startswith("output['users'][3]: a ")
    assert outcome.output is None


def test_the_first_error_stays_when_the_output_cannot_be_stored_either() -> None:
    def run(self: Any) -> None:
        self.output["x"] = Opaque("x")
        raise ValueError("first")

    assert error_of(run_step(job(acting(run)))).message == "first"


def test_an_output_above_the_limit_is_a_step_error() -> None:
    def run(self: Any) -> None:
        self.output["blob"] = b"x" * 2_000

    error = error_of(run_step(job(acting(run)), max_payload=1_000))

    assert error.exception_class == "dynflow_mp.errors.PayloadTooLarge"


def test_an_unknown_action_is_a_step_error() -> None:
    outcome = run_step(job("shop.Gone"))

    assert error_of(outcome).exception_class == "dynflow_mp.errors.UnknownAction"
    assert (outcome.progress_done, outcome.progress_weight) == (0, 0)


def test_damaged_input_is_a_step_error() -> None:
    outcome = run_step(job(Sum)._replace(input=b"\xc1"))

    assert error_of(outcome).exception_class == "dynflow_mp.errors.DamagedData"


def test_a_coroutine_that_run_returns_is_a_step_error_for_nobody_awaits_it() -> None:
    async def later() -> None:
        raise AssertionError("never run")

    error = error_of(run_step(job(acting(lambda self: later()))))

    assert error.exception_class == "dynflow_mp.errors.StepError"
    assert error.message.startswith("run returned a coroutine, and nothing of it has run")


def test_whatever_else_run_returns_is_nobody_s_business() -> None:
    assert run_step(job(acting(lambda self: object()))).state == "success"


def test_a_class_that_lost_its_run_is_a_step_error() -> None:
    assert "run" in error_of(run_step(job(type("Lost", (Action,), {"__module__": "shop"})))).message


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")


def test_an_error_that_cannot_print_itself_is_still_recorded() -> None:
    def run(self: Any) -> None:
        raise Unprintable

    assert error_of(run_step(job(acting(run)))).message == "<no message: its __str__ raised SystemExit>"


def test_an_error_text_that_is_no_unicode_is_still_recorded() -> None:
    def run(self: Any) -> None:
        raise ValueError("bad \udcff name")

    assert error_of(run_step(job(acting(run)))).message == r"bad \udcff name"


class Meddlesome(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__qualname__"):
            raise RuntimeError("not for you")
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=Meddlesome):
    pass


class Traceless(Exception):
    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no trace")


class Treacherous(str):
    def encode(self, *args: Any) -> bytes:  # type: ignore[override]
        raise RuntimeError("no bytes")


class SaysTreacherousThings(Exception):
    def __str__(self) -> str:
        return Treacherous("well hidden")


class Disguised(Exception):
    __class__ = KeyError  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (Nameless("hello"), "Nameless", "hello"),
        (Traceless("hello"), "test_phases.Traceless", "hello"),
        (SaysTreacherousThings(), "test_phases.SaysTreacherousThings", "well hidden"),
        (Disguised("hello"), "test_phases.Disguised", "hello"),
    ],
)
def test_an_exception_whose_own_attributes_are_broken_is_still_recorded(
    error: Exception, name: str, message: str
) -> None:
    def run(self: Any) -> None:
        raise error

    recorded = error_of(run_step(job(acting(run))))

    assert (recorded.exception_class, recorded.message) == (name, message)


def test_an_exception_that_is_its_own_cause_is_recorded_once() -> None:
    def run(self: Any) -> None:
        error = ValueError("round and round")
        error.__cause__ = error
        raise error

    assert error_of(run_step(job(acting(run)))).message == "round and round"


def test_the_errors_of_a_group_are_told() -> None:
    def run(self: Any) -> None:
        raise ExceptionGroup("two hosts", [OSError("no route"), ValueError("no name")])

    error = error_of(run_step(job(acting(run))))

    assert error.message == "two hosts (2 sub-exceptions)"
    assert error.backtrace[:2] == ("contains OSError: no route", "contains ValueError: no name")


def test_a_record_is_bounded_however_large_the_error() -> None:
    def deeper(level: int) -> None:
        if level == 0:
            raise ValueError("x" * 10 * MAX_MESSAGE)
        deeper(level - 1)

    with pytest.raises(ValueError, match="x") as caught:
        deeper(300)
    record = record_of(caught.value)

    assert len(record.message) == MAX_MESSAGE
    assert len(record.backtrace) == 51
    assert record.backtrace[20] == "… 252 frames left out …"
    assert max(map(len, record.backtrace)) <= MAX_LINE


def test_the_causes_of_an_error_are_told() -> None:
    def run(self: Any) -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    assert "caused by KeyError: 'inner'" in error_of(run_step(job(acting(run)))).backtrace


# -- suspending and events ---------------------------------------------------------------------------


def test_suspend_leaves_run_and_no_except_exception_stops_it() -> None:
    def run(self: Any) -> None:
        self.output["asked"] = True
        try:
            self.suspend()
        except Exception:
            self.output["swallowed"] = True

    outcome = run_step(job(acting(run)))

    assert (outcome.state, outcome.error) == ("suspended", None)
    assert output_of(outcome) == {"asked": True}


def test_suspend_gives_the_handle_away_first() -> None:
    def run(self: Any) -> None:
        self.suspend(lambda handle: self.output.update(plan=handle.plan_id, step=handle.step_id))

    assert output_of(run_step(job(acting(run)))) == {"plan": PLAN, "step": 2}


def test_the_handle_is_plain_data() -> None:
    handles = []

    run_step(job(acting(lambda self: handles.append(self.suspended_action()))))

    assert pickle.loads(pickle.dumps(handles[0])) == handles[0] == (PLAN, 2)


def listen(self: Any, event: Any = None) -> None:
    self.output["got"] = event


def test_run_is_called_with_the_event_that_woke_it() -> None:
    outcome = run_step(job(acting(listen), event=encode({"name": "finish"}, "event")))

    assert output_of(outcome) == {"got": {"name": "finish"}}


def test_none_is_no_event() -> None:
    calls: list[tuple[Any, ...]] = []

    run_step(job(acting(lambda *args: calls.append(args[1:])), event=encode(None, "event")))

    assert calls == [()]


def test_an_event_for_a_run_that_takes_none_is_a_clear_error() -> None:
    outcome = run_step(job(acting(lambda self: None), event=encode("wake", "event")))

    assert error_of(outcome).message == "Acting got an event, but its run() takes none"


def test_planned_events_come_back_with_the_outcome() -> None:
    def run(self: Any, event: Any = None) -> None:
        self.plan_event("ping", delay_s=0.5)
        self.plan_event({"n": 1}, optional=True)
        self.suspend()

    events = run_step(job(acting(run))).events

    assert [(decode(event.data), event.delay_s, event.optional) for event in events] == [
        ("ping", 0.5, False),
        ({"n": 1}, None, True),
    ]
    assert {(event.plan_id, event.step_id) for event in events} == {(PLAN, 2)}


@pytest.mark.parametrize("delay_s", [-1, float("nan"), float("inf")])
def test_an_event_cannot_be_planned_for_a_time_that_never_comes(delay_s: float) -> None:
    outcome = run_step(job(acting(lambda self: self.plan_event("ping", delay_s))))

    assert error_of(outcome).exception_class == "dynflow_mp.errors.BadArgument"


def test_an_event_that_cannot_be_stored_is_a_step_error() -> None:
    outcome = run_step(job(acting(lambda self: self.plan_event(Opaque("x")))))

    assert error_of(outcome).message.startswith("event: ")


# -- phases ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        lambda self: self.plan_self(),
        lambda self: self.plan_action(Sum),
        lambda self: self.sequence(),
        lambda self: self.concurrence(),
        lambda self: self.triggering,
        lambda self: self.from_subscription,
        lambda self: setattr(self, "input", {}),
        lambda self: self.plan_step_id,
        lambda self: self.finalize_step_id,
        lambda self: self.planned_actions(),
        lambda self: self.all_planned_actions(),
        lambda self: self.steps,
    ],
)
def test_what_belongs_to_other_phases_is_refused_in_run(what: Any) -> None:
    error = error_of(run_step(job(acting(what))))

    assert error.exception_class == "dynflow_mp.errors.WrongPhase"
    assert "not in run" in error.message


# -- progress ----------------------------------------------------------------------------------------


def progress_of(run: Any, **facts: Any) -> tuple[float, float]:
    outcome = run_step(job(acting(run, **facts)))
    return outcome.progress_done, outcome.progress_weight


def nothing(self: Any) -> None:
    pass


def test_a_step_is_half_done_and_weighs_one_unless_it_says_otherwise() -> None:
    assert progress_of(nothing) == (0.5, 1)


def test_progress_and_weight_may_be_methods_and_see_the_same_object() -> None:
    def run(self: Any) -> None:
        self.so_far = 0.2

    told = progress_of(run, run_progress=lambda self: self.so_far, run_progress_weight=lambda self: 4)

    assert told == (0.2, 4)


def test_reported_progress_counts() -> None:
    assert progress_of(lambda self: self.report_progress(0.3), run_progress_weight=2) == (0.3, 2)


@pytest.mark.parametrize(("reported", "kept"), [(7, 1), (-1, 0), (float("nan"), 0)])
def test_reported_progress_stays_between_0_and_1(reported: float, kept: float) -> None:
    assert progress_of(lambda self: self.report_progress(reported))[0] == kept


def test_progress_that_raises_leaves_neither_progress_nor_weight() -> None:
    def broken(self: Any) -> float:
        raise ZeroDivisionError

    assert progress_of(nothing, run_progress=broken) == (0, 0)


def test_progress_that_is_not_finite_is_none() -> None:
    assert progress_of(nothing, run_progress=lambda self: float("nan")) == (0, 1)


def test_progress_is_told_also_of_a_step_that_failed() -> None:
    def run(self: Any) -> None:
        self.report_progress(0.2)
        raise ValueError

    assert progress_of(run)[0] == 0.2


# -- finalize ----------------------------------------------------------------------------------------


class Finalizing(Action):
    finalize_progress_weight = 3

    def finalize(self) -> None:
        if self.input.get("fail"):
            raise ValueError("as told")
        if "note" in self.input:
            self.output["note"] = [self.input["note"], self.finalize_step_id]


def test_all_parts_run_in_order() -> None:
    begun: list[int] = []
    parts = (part(Finalizing, 3), part(Finalizing, 5, {"note": "x"}))

    outcomes = run_finalize(FinalizeJob(PLAN, parts, {}), lambda one: begun.append(one.step_id))

    assert [(outcome.step_id, outcome.state) for outcome in outcomes] == [(3, "success"), (5, "success")]
    assert begun == [3, 5]
    assert outcomes[0].output is None
    assert output_of(outcomes[1]) == {"note": ["x", 5]}
    assert (outcomes[1].progress_done, outcomes[1].progress_weight) == (0.5, 3)


def test_the_first_error_ends_the_phase() -> None:
    parts = (part(Finalizing, 3), part(Finalizing, 5, {"fail": True}), part(Finalizing, 7))

    outcomes = run_finalize(FinalizeJob(PLAN, parts, {}))

    assert [(outcome.step_id, outcome.state) for outcome in outcomes] == [(3, "success"), (5, "error")]


def test_references_are_resolved_in_finalize_too() -> None:
    made = {9: encode({"text": "late"}, "output")}
    place = references((["note"], 4, 9, ["text"]))
    parts = (part(Finalizing, 3, {"note": None}, references=place),)

    (outcome,) = run_finalize(FinalizeJob(PLAN, parts, made))

    assert output_of(outcome) == {"note": ["late", 3]}
    assert outcome.input is not None
    assert decode(outcome.input) == {"note": "late"}


def test_an_unresolvable_reference_in_finalize_is_a_step_error() -> None:
    """Core W1, the same hole in the finalize phase."""
    place = references((["note"], 4, 9, ["text"]))

    (outcome,) = run_finalize(FinalizeJob(PLAN, (part(Finalizing, 3, {"note": None}, references=place),), {}))

    assert error_of(outcome).message == (
        "Step(4).output has no key 'text', which input['note'] needs; it is empty"
    )


def test_the_output_cannot_be_replaced_in_finalize() -> None:
    class Replacing(Action):
        def finalize(self) -> None:
            self.output = {}

    (outcome,) = run_finalize(FinalizeJob(PLAN, (part(Replacing, 3),), {}))

    assert error_of(outcome).exception_class == "dynflow_mp.errors.WrongPhase"


def test_finalize_cannot_suspend() -> None:
    class Waiting(Action):
        def finalize(self) -> None:
            self.suspend()

    (outcome,) = run_finalize(FinalizeJob(PLAN, (part(Waiting, 3),), {}))

    assert "suspend is there in phase run, not in finalize" in error_of(outcome).message


@pytest.mark.parametrize("leave", ["error", "suspend"])
def test_a_progress_method_that_leaves_tells_nothing_and_the_call_ends_as_it_did(leave: str) -> None:
    def progress(self: Any) -> float:
        self.error("no idea") if leave == "error" else self.suspend()
        return 0.5

    outcome = run_step(job(acting(lambda self: None, run_progress=progress)))

    assert (outcome.state, outcome.progress_done, outcome.error) == ("success", 0.0, None)
