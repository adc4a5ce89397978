"""Actions with sub-plans, call by call: what they trigger, order, count and wait for."""

import pytest
from brood import ENDED, FAILED, Brood

from dynflow_mp import Action, WithBulkSubPlans, WithPollingSubPlans, WithSubPlans
from dynflow_mp.model.codec import decode
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.sub_plans import Ending
from dynflow_mp.testing import create_and_plan_action

SUCCESS, WARNING = ENDED[Result.SUCCESS], ENDED[Result.WARNING]


class Child(Action):
    def plan(self, number, fails=False):
        if fails:
            raise ValueError("cannot be planned")
        self.plan_self(number=number)

    def run(self):
        pass


class Parent(WithSubPlans):
    def plan(self, count, level=None, window=None, fails=False):
        if level is not None:
            self.limit_concurrency_level(level)
        if window is not None:
            self.distribute_over_time(*window)
        self.plan_self(count=count, fails=fails)

    def create_sub_plans(self):
        return [self.trigger(Child, n, fails=self.input["fails"]) for n in range(self.input["count"])]

    def on_finish(self):
        self.output["finished"] = True


class Bulk(WithBulkSubPlans, Parent):
    batch_size = 5

    def total_count(self):
        return self.input["count"]

    def batch(self, start, size):
        return range(start, start + size)

    def create_sub_plans(self):
        yield from (self.trigger(Child, n, fails=self.input["fails"]) for n in self.current_batch)

    def on_planning_finished(self):
        self.output["planned"] = self.output.get("planned", 0) + 1


class Lazy(Bulk):
    def create_sub_plans(self):
        return []


class Slow(WithPollingSubPlans, Parent):
    pass


def counts(brood):
    return tuple(brood.shown[f"{name}_count"] for name in ("total", "pending", "failed", "success"))


def test_it_triggers_and_waits_for_events_and_for_its_timer():
    brood = Brood(Parent, 3)

    outcome = brood.run()

    assert outcome.state is StepState.SUSPENDED
    assert brood.may_run == 3
    assert counts(brood) == (3, 3, 0, 0)
    assert brood.timers(Signal.POLL) == [15.0]
    assert brood.timers(Signal.SUB_PLANS) == []


def test_the_polling_kind_looks_every_ten_seconds():
    brood = Brood(Slow, 1)
    brood.run()

    assert brood.timers(Signal.POLL) == [10.0]


def test_one_timer_is_enough_however_often_it_is_woken():
    brood = Brood(Parent, 3)
    brood.run()

    brood.become(SUCCESS, 1)
    outcome = brood.run(Signal.SUB_PLANS)

    assert outcome.state is StepState.SUSPENDED
    assert outcome.events == ()
    assert counts(brood) == (3, 2, 0, 1)


def test_resumed_it_sets_its_timer_again():
    brood = Brood(Parent, 3)
    brood.run()

    brood.run()

    assert len(brood.sub_plans) == 3
    assert brood.timers(Signal.POLL) == [15.0]


def test_w7_a_warning_is_a_success_and_shown():
    brood = Brood(Parent, 2)
    brood.run()

    brood.become(SUCCESS, 1)
    brood.become(WARNING, 1)
    outcome = brood.run(Signal.SUB_PLANS)

    assert outcome.state is StepState.SUCCESS
    assert counts(brood) == (2, 0, 0, 2)
    assert brood.shown["warning_count"] == 1
    assert brood.shown["finished"] is True


@pytest.mark.parametrize(
    "standing", [FAILED, ENDED[Result.ERROR], ENDED[Result.CANCELLED], ENDED[Result.PENDING]]
)
def test_whatever_else_they_end_as_is_a_failure(standing):
    brood = Brood(Parent, 2)
    brood.run()

    brood.become(standing, 1)
    assert brood.run(Signal.SUB_PLANS).state is StepState.SUSPENDED  # the other one still runs
    brood.become(SUCCESS)
    brood.sub_plans[next(iter(brood.sub_plans))][0] = standing
    outcome = brood.run(Signal.SUB_PLANS)

    assert outcome.state is StepState.ERROR
    assert brood.error.exception_class == "dynflow_mp.errors.SubPlanFailed"
    assert counts(brood) == (2, 0, 1, 1)
    assert "finished" not in brood.shown


def test_a_paused_plan_without_an_error_is_not_ended():
    brood = Brood(Parent, 1)
    brood.run()

    brood.become((PlanState.PAUSED, Result.PENDING))

    assert brood.run(Signal.POLL).state is StepState.SUSPENDED


def test_b155_all_unplanned_it_fails_once_they_are_stored_and_makes_them_again_when_resumed():
    brood = Brood(Parent, 2, fails=True)

    assert brood.run().state is StepState.SUSPENDED
    assert brood.timers(Signal.SUB_PLANS) == [None]  # nobody else would wake it
    assert brood.run(Signal.SUB_PLANS).state is StepState.ERROR
    assert counts(brood) == (2, 0, 2, 0)

    assert brood.run().state is StepState.SUSPENDED
    assert len(brood.sub_plans) == 4
    assert counts(brood) == (2, 0, 2, 0)


def test_a_call_that_fails_triggers_nothing_and_the_next_one_does():
    class Stumbling(Parent):
        stumble = True

        def create_sub_plans(self):
            super().create_sub_plans()
            if self.stumble:
                raise OSError("half-way")

    brood = Brood(Stumbling, 2)

    assert brood.run().state is StepState.ERROR
    assert brood.sub_plans == {}

    Stumbling.stumble = False
    brood.run()
    assert len(brood.sub_plans) == 2


def test_an_event_that_it_does_not_know_fails_it():
    brood = Brood(Parent, 1)
    brood.run()

    assert brood.run("poll").state is StepState.ERROR
    assert "does not know" in brood.error.message


def test_it_ends_without_a_word_when_it_is_skipped():
    """W5. How the event of a step that is skipped comes is told elsewhere; here the method is called with it."""
    assert Parent.run(object.__new__(Parent), RescueStrategy.SKIP) is None


# -- batches -----------------------------------------------------------------------------------------


def test_b169_fewer_than_a_batch_are_made_at_once():
    brood = Brood(Bulk, 3)

    brood.run()

    assert len(brood.sub_plans) == 3
    assert counts(brood) == (3, 3, 0, 0)
    assert brood.shown["planned_count"] == 3
    assert brood.timers(Signal.POLL) == [15.0]
    assert brood.timers(Signal.NEXT_BATCH) == []


def test_b171_more_than_a_batch_are_made_one_batch_after_the_other():
    brood = Brood(Bulk, 7)

    brood.run()
    assert len(brood.sub_plans) == 5
    assert brood.timers(Signal.NEXT_BATCH) == [None]
    assert "planned" not in brood.shown

    brood.become(SUCCESS, 1)
    brood.run(Signal.NEXT_BATCH)
    assert len(brood.sub_plans) == 7
    assert brood.timers(Signal.NEXT_BATCH) == []
    assert brood.shown["planned"] == 1
    assert counts(brood) == (7, 7, 0, 0)  # counted again with the next hint

    brood.become(SUCCESS)
    assert brood.run(Signal.SUB_PLANS).state is StepState.SUCCESS
    assert counts(brood) == (7, 0, 0, 7)


def test_a_crash_between_batches_makes_none_twice():
    brood = Brood(Bulk, 7)
    brood.run()

    brood.run()  # resumed, without a word of the next batch

    assert len(brood.sub_plans) == 7


def test_a_batch_that_makes_nothing_is_an_error_and_no_endless_loop():
    brood = Brood(Lazy, 7)

    assert brood.run().state is StepState.ERROR
    assert "triggered nothing" in brood.error.message


def test_b172_a_limit_is_kept_in_the_input():
    brood = Brood(Bulk, 5, level=1)

    assert decode(brood.job.input)["dynflow"] == {"concurrency_limit": 1}


@pytest.mark.parametrize("kind", [Parent, Bulk])
@pytest.mark.parametrize("level", [None, 1])
def test_b172_a_planned_action_has_all_of_its_limit_to_give(kind, level):
    action = create_and_plan_action(kind, 5, level=level)

    assert (action.concurrency_limit, action.concurrency_limit_capacity) == (level, level)
    assert action.run_progress() == 0.1


def test_b173_with_a_limit_batches_are_as_large_as_there_is_room():
    brood = Brood(Bulk, 5, level=2)

    brood.run()
    assert (len(brood.sub_plans), brood.may_run) == (2, 2)
    assert [event.delay_s for event in brood.outcome.events] == [15.0]  # there is no room: only the timer

    for made in (3, 4, 5, 5):
        brood.become(SUCCESS, 1)
        brood.run(Signal.SUB_PLANS)
        assert len(brood.sub_plans) == made
        assert brood.may_run <= 2

    brood.become(SUCCESS)
    assert brood.run(Signal.SUB_PLANS).state is StepState.SUCCESS


def test_cancelled_it_makes_no_more_and_fails_for_those_never_made():
    brood = Brood(Bulk, 20, level=2)
    brood.run()

    assert brood.run(Signal.CANCEL).state is StepState.SUSPENDED
    assert brood.ends == [Ending.CANCEL]
    assert brood.shown["cancelled_count"] == 18
    assert brood.shown["planned"] == 1

    assert brood.run(Signal.SUB_PLANS).state is StepState.ERROR
    assert brood.shown["planned_count"] == 2
    assert brood.run().state is StepState.ERROR  # resumed


# -- held back ---------------------------------------------------------------------------------------


def test_what_the_limit_does_not_allow_is_stored_and_started_as_others_end():
    brood = Brood(Parent, 5, level=2)
    brood.run()
    assert (len(brood.sub_plans), brood.may_run) == (5, 2)
    assert counts(brood) == (5, 5, 0, 0)

    brood.become(SUCCESS, 1)
    brood.run(Signal.SUB_PLANS)
    assert brood.may_run == 2

    for _ in range(3):
        brood.become(SUCCESS, 2)
        outcome = brood.run(Signal.SUB_PLANS)
    assert outcome.state is StepState.SUCCESS


def test_b181_a_failed_sub_plan_holds_no_place():
    brood = Brood(Parent, 3, level=1)
    brood.run()

    brood.become(FAILED, 1)
    brood.run(Signal.SUB_PLANS)

    assert brood.may_run == 1


@pytest.mark.parametrize(("signal", "end"), [(Signal.CANCEL, Ending.CANCEL), (Signal.ABORT, Ending.ABORT)])
def test_b182_cancelled_what_was_held_back_counts_as_failed(signal, end):
    brood = Brood(Parent, 5, level=0)
    brood.run()
    assert brood.may_run == 0

    assert brood.run(signal).state is StepState.SUSPENDED
    assert brood.ends == [end]
    assert brood.run(Signal.SUB_PLANS).state is StepState.ERROR
    assert counts(brood) == (5, 0, 5, 0)
    assert brood.run().state is StepState.ERROR  # resumed: they were not unplanned
    assert len(brood.sub_plans) == 5


def test_spread_over_time_the_next_start_has_a_timer_that_lasts():
    brood = Brood(Parent, 4, window=(40.0, 4))

    brood.run()

    assert brood.may_run == 1
    assert brood.timers(Signal.SUB_PLANS) == [pytest.approx(10.0, abs=1.0)]


def test_a_limit_may_be_set_in_run():
    class LimitsInRun(Parent):
        def create_sub_plans(self):
            self.limit_concurrency_level(1)
            super().create_sub_plans()

    brood = Brood(LimitsInRun, 3)
    brood.run()
    assert brood.may_run == 1

    brood.become(SUCCESS, 1)
    brood.run(Signal.SUB_PLANS)
    assert brood.may_run == 1


def test_the_progress_is_the_part_that_has_ended():
    brood = Brood(Parent, 4)
    brood.run()
    assert brood.outcome.progress_done == 0.0

    brood.become(SUCCESS, 1)
    brood.become(FAILED, 1)
    brood.run(Signal.SUB_PLANS)
    assert brood.outcome.progress_done == 0.5
