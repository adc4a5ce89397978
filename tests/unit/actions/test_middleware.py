"""What stands around actions, in which order, and what it can do there."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from dynflow_mp import Action, CyclicMiddleware, DefinitionError, Middleware, Use, WrongPhase, do_not_use
from dynflow_mp.actions.class_facts import use_middleware
from dynflow_mp.actions.middleware import CLASSES_ONLY, MiddlewareRules, in_order, own_rules
from dynflow_mp.actions.named_rules import rules_at
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.transaction import TransactionMiddleware
from dynflow_mp.model.codec import EMPTY, MAX_PAYLOAD, decode, encode
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, StepJob
from dynflow_mp.planning.delaying import plan_scheduled, schedule
from dynflow_mp.planning.planner import plan

PLAN_ID = "0193f0c5-0000-7000-8000-000000000001"
LOG: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


class M1(Middleware):
    pass


class M2(Middleware):
    pass


class M3(Middleware):
    pass


class M4(Middleware):
    pass


class M5(Middleware):
    pass


class LogEverything(Middleware):
    def _logged(self, kind: str, *args: Any, **kwargs: Any) -> None:
        LOG.append(f"{kind} before")
        self.pass_on(*args, **kwargs)
        LOG.append(f"{kind} after")

    def plan(self, *args: Any, **kwargs: Any) -> None:
        self._logged("plan", *args, **kwargs)

    def plan_phase(self) -> None:
        self._logged("plan_phase")

    def run(self, *args: Any) -> None:
        self._logged("run", *args)

    def finalize(self) -> None:
        self._logged("finalize")

    def finalize_phase(self) -> None:
        self._logged("finalize_phase")


class LogRun(Middleware):
    def run(self, *args: Any) -> None:
        LOG.append("LogRun before")
        self.pass_on(*args)
        LOG.append("LogRun after")


class LogOuter(Middleware):
    def run(self, *args: Any) -> None:
        LOG.append("LogOuter before")
        self.pass_on(*args)
        LOG.append("LogOuter after")


class Observed(Action):
    middleware = (LogEverything,)

    def plan(self) -> None:
        LOG.append("plan")
        self.plan_self()

    def run(self) -> None:
        LOG.append("run")

    def finalize(self) -> None:
        LOG.append("finalize")


class Bare(Action):
    def run(self, event: Any = None) -> None:
        LOG.append("run")


class Child(Bare):
    middleware = (LogRun,)


class Grandchild(Child):
    middleware = (Use(LogOuter, before=LogRun),)


class WithoutAny(Grandchild):
    middleware = (do_not_use(LogRun), do_not_use(LogOuter))


def run(kind: type[Action], event: Any = None, **values: Any) -> Any:
    job = StepJob(PLAN_ID, 2, 1, 1, name_of(kind), encode(values, "input"))
    return run_step(job._replace(event=None if event is None else encode(event, "event")))


def finalize(*kinds: type[Action]) -> Any:
    parts = tuple(
        FinalizePart(3 + number, 1 + number, 1, name_of(kind), EMPTY, None, None)
        for number, kind in enumerate(kinds)
    )
    return run_finalize(FinalizeJob(PLAN_ID, parts, {}, name_of(kinds[0])))


def planned(kind: type[Action], *args: Any, rules: MiddlewareRules = CLASSES_ONLY, **kwargs: Any) -> Any:
    clock = count(1_000_000, 1_000)
    return plan(kind, args, kwargs, now=lambda: next(clock), new_id=lambda: PLAN_ID, middleware=rules)


# -- in which order ----------------------------------------------------------------------------------


def test_middleware_stands_in_the_order_of_its_rules() -> None:
    assert in_order([Use(M5), Use(M1), Use(M2)]) == (M5, M1, M2)


def test_b234_before_puts_it_outside() -> None:
    assert in_order([Use(M1), Use(M2), Use(M3, before=M1)]) == (M3, M1, M2)

    run(Grandchild)

    assert LOG == ["LogOuter before", "LogRun before", "run", "LogRun after", "LogOuter after"]


def test_b235_after_puts_it_inside() -> None:
    world = MiddlewareRules([Use(LogOuter, after=LogRun)])

    assert world.around(Child).run == (LogRun, LogOuter)


def test_w13_what_replaces_takes_the_place_and_the_rules_of_what_it_replaces() -> None:
    assert in_order([Use(M1), Use(M2), Use(M3, replace=M1)]) == (M3, M2)
    assert in_order([Use(M1), Use(M2), Use(M4, after=M1), Use(M3, replace=M1)]) == (M3, M2, M4)
    assert in_order([Use(M1), Use(M2), Use(M4, before=M1), Use(M3, replace=M1)]) == (M4, M3, M2)
    assert in_order([Use(M1, before=M4), Use(M2), Use(M3, replace=M1), Use(M4)]) == (M3, M2, M4)


def test_rules_about_middleware_that_is_not_there_say_nothing() -> None:
    assert in_order([Use(M1, after=M5), Use(M2, replace=M4)]) == (M1, M2)


def test_b237_do_not_use_leaves_only_run() -> None:
    run(WithoutAny)

    assert LOG == ["run"]


def test_what_is_not_used_can_be_used_again() -> None:
    assert in_order([Use(M1), do_not_use(M1), Use(M2), Use(M1)]) == (M2, M1)


def test_b233_what_stands_around_a_world_is_outside_of_what_a_class_asks_for() -> None:
    assert MiddlewareRules([Use(LogOuter)]).around(Child).run == (LogOuter, LogRun)


def test_a_circle_is_found_when_the_class_is_defined_and_names_its_members() -> None:
    with pytest.raises(CyclicMiddleware, match=r"M3 > .*M2 > .*M3|M2 > .*M3 > .*M2") as found:

        class Circular(Action, abstract=True):
            middleware = (M2, Use(M3, before=M2, after=M2))

    assert set(found.value.classes) == {f"{__name__}.M2", f"{__name__}.M3"}


def test_a_circle_with_a_world_s_rules_keeps_the_plan_from_being_made() -> None:
    with pytest.raises(CyclicMiddleware):
        planned(Grandchild, rules=MiddlewareRules([Use(LogRun, before=LogOuter)]))


@pytest.mark.parametrize("wrong", ["M1", 3, [Action], Middleware()])
def test_what_is_no_middleware_is_refused_when_the_class_is_defined(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match=r"Odd\.middleware: .*is not a class of middleware"):
        type("Odd", (Action,), {"middleware": wrong}, abstract=True)


def test_a_class_without_middleware_has_none_and_rules_of_bases_come_first() -> None:
    assert own_rules(Bare) == ()
    assert [rule.middleware for rule in own_rules(Grandchild)] == [LogRun, LogOuter]
    assert CLASSES_ONLY.around(Bare) == ((),) * 8


def test_rules_of_a_world_are_found_by_name() -> None:
    assert rules_at([f"{__name__}:LogRun", f"{__name__}:HOUSE_RULES"]).around(Bare).run == (LogRun, LogOuter)


@pytest.mark.parametrize("place", [f"{__name__}:Nothing", f"{__name__}:LOG"])
def test_a_name_with_no_middleware_behind_it_is_refused(place: str) -> None:
    LOG.append("not a rule")
    with pytest.raises(DefinitionError, match=place):
        rules_at([place])


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(
        DefinitionError, match=r"middleware no_such_shop\.audit:Audit: there is no module no_such_shop"
    ):
        rules_at(["no_such_shop.audit:Audit"])


HOUSE_RULES = [Use(LogOuter, after=LogRun)]


# -- what it can do ----------------------------------------------------------------------------------


def test_b230_the_order_around_one_action() -> None:
    planned(Observed)
    run(Observed)
    finalize(Observed)

    assert [
        *("plan_phase before", "plan before", "plan", "plan after", "plan_phase after"),
        *("run before", "run", "run after"),
        *("finalize_phase before", "finalize before", "finalize", "finalize after", "finalize_phase after"),
    ] == LOG


class Renames(Middleware):
    def plan(self, name: str) -> None:
        self.pass_on(name.upper())


class Named(Action):
    middleware = (Renames,)

    def plan(self, name: str) -> None:
        self.plan_self(name=name)

    def run(self) -> None:
        self.output["name"] = self.input["name"]


def test_middleware_may_change_what_plan_is_given() -> None:
    assert decode(planned(Named, "ann").plan.actions[0].input) == {"name": "ANN"}


class Reads(Middleware):
    def run(self, *args: Any) -> None:
        LOG.append(f"in {self.action.input['name']} of {self.execution_plan_id}")
        self.pass_on(*args)
        LOG.append(f"out {self.action.output['name']}")


class Read(Named):
    middleware = (Reads,)


def test_b238_middleware_reads_the_input_before_and_the_output_after_run() -> None:
    run(Read, name="bob")

    assert [f"in bob of {PLAN_ID}", "out bob"] == LOG


class Drops(Middleware):
    def run(self, *args: Any) -> None:
        pass

    def finalize_phase(self) -> None:
        pass

    def plan_phase(self) -> None:
        pass


class Dropped(Observed):
    middleware = (Use(Drops, before=LogEverything),)


def test_what_is_not_passed_on_is_left_out_and_ends_well() -> None:
    made = planned(Dropped)

    assert made.error is None
    assert run(Dropped).state == "success"
    assert [outcome.state for outcome in finalize(Dropped, Dropped)] == ["success", "success"]
    assert LOG == []


class ChangesTheEvent(Middleware):
    def run(self, *args: Any) -> None:
        self.pass_on(*(f"{event}!" for event in args))


class Woken(Action):
    middleware = (ChangesTheEvent,)

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()
        self.output["event"] = event


class Cleans(Middleware):
    def run(self, *args: Any) -> None:
        try:
            self.pass_on(*args)
        except Exception:
            LOG.append("seen")
        finally:
            LOG.append("cleaned")


class Cleaned(Woken):
    middleware = (Cleans,)


def test_suspend_passes_through_except_and_runs_finally() -> None:
    assert run(Cleaned).state == "suspended"
    assert LOG == ["cleaned"]


def test_an_event_passes_through_run_s_middleware() -> None:
    assert decode(run(Woken, "go").output) == {"event": "go!"}


class Fails(Action):
    middleware = (Cleans,)

    def run(self) -> None:
        raise KeyError("lost")


class Asks(Middleware):
    def finalize_phase(self) -> None:
        self.action  # noqa: B018


class AsksInPhase(Observed):
    middleware = (Asks,)


def test_an_error_can_be_caught_on_its_way_out() -> None:
    assert run(Fails).state == "success"
    assert LOG == ["seen", "cleaned"]


def test_a_phase_has_no_action_and_its_error_is_the_last_part_s() -> None:
    outcomes = finalize(AsksInPhase, Observed)

    assert [outcome.state for outcome in outcomes] == ["success", "error"]
    record = ErrorRecord.from_bytes(outcomes[-1].error)
    assert record.exception_class == name_of(WrongPhase)
    assert "not in finalize_phase" in record.message


def test_rules_of_the_world_stand_around_a_worker_s_classes() -> None:
    use_middleware(MiddlewareRules([Use(LogRun)]))
    try:
        run(Bare)
    finally:
        use_middleware(CLASSES_ONLY)

    assert LOG == ["LogRun before", "run", "LogRun after"]


# -- transactions ------------------------------------------------------------------------------------


class _Logged:
    def __enter__(self) -> None:
        LOG.append("begin")

    def __exit__(self, kind: Any, *_: Any) -> None:
        LOG.append("commit" if kind is None else f"rollback for {kind.__name__}")


class InShop(TransactionMiddleware):
    def transaction(self) -> Any:
        return _Logged()


class Sold(Action):
    middleware = (InShop,)

    def plan(self, ok: bool = True) -> None:
        if not ok:
            self.error("sold out")

    def finalize(self) -> None:
        pass


class SoldBadly(Sold):
    def finalize(self) -> None:
        raise ValueError("no change")


def test_a_transaction_is_committed_after_planning_and_after_finalizing() -> None:
    planned(Sold)
    finalize(Sold)

    assert LOG == ["begin", "commit", "begin", "commit"]


def test_a_transaction_is_rolled_back_when_planning_fails() -> None:
    made = planned(Sold, False)

    assert LOG == ["begin", "rollback for StepError"]
    assert str(made.error) == "sold out"
    assert (made.plan.state, made.plan.result) == ("stopped", "error")


def test_a_transaction_is_rolled_back_when_finalizing_fails_and_the_part_that_failed_says_so() -> None:
    outcomes = finalize(Sold, SoldBadly, Sold)

    assert LOG == ["begin", "rollback for ValueError"]
    assert [outcome.state for outcome in outcomes] == ["success", "error"]
    assert ErrorRecord.from_bytes(outcomes[-1].error).message == "no change"


class CommitFails(_Logged):
    def __exit__(self, kind: Any, *_: Any) -> None:
        raise ConnectionError("the shop is closed")


class Unlucky(Sold):
    middleware = (
        Use(type("Closed", (InShop,), {"transaction": lambda self: CommitFails()}), replace=InShop),
    )


def test_a_commit_that_fails_fails_the_plan_and_the_finalize_phase() -> None:
    assert isinstance(planned(Unlucky).error, ConnectionError)
    assert [outcome.state for outcome in finalize(Unlucky, Unlucky)] == ["success", "error"]


class LogDelay(LogEverything):
    def delay(self, *args: Any, **kwargs: Any) -> Any:
        LOG.append("before_delay")
        changed = self.pass_on(*args, **kwargs)
        LOG.append("after_delay")
        return changed


class Delayed(Observed):
    middleware = (Use(LogDelay, replace=LogEverything),)

    def delay(self, options: Any, /, *args: Any, **kwargs: Any) -> None:
        LOG.append("delay")


def test_b231_the_order_around_an_action_that_is_delayed() -> None:
    made = schedule(Delayed, (), {}, {}, plan_id=PLAN_ID)
    plan_scheduled(
        name_of(Delayed), PLAN_ID, made.arguments, made.plan.actions[0].input, lambda: 1, MAX_PAYLOAD
    )

    assert [
        *("before_delay", "delay", "after_delay"),
        *("plan_phase before", "plan before", "plan", "plan after", "plan_phase after"),
    ] == LOG
