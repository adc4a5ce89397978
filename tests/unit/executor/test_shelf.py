"""Ready steps and the bytes they need: by page, in a window, with outputs kept for those who refer to them."""

import pytest

from dynflow_mp.executor.limit_watch import Limits
from dynflow_mp.executor.shelf import PAGE, WINDOW, PayloadPage, Shelf
from dynflow_mp.model.codec import EMPTY, encode
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.plans import Payload, PlanSkeleton, StepKind, StepTable
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import PlanState, StepState

SUCCESS = StepState.SUCCESS


def a_skeleton(steps, dependencies=None, plan_id="p", finalize=(), policies=None):
    table = StepTable(max([*steps, *finalize], default=0))
    for step_id in [*steps, *finalize]:
        table.add(step_id, StepState.PENDING, 0, step_id * 10, StepKind("A", "default"))
    return PlanSkeleton(
        plan_id,
        "A",
        PlanState.PLANNED,
        0,
        None,
        1,
        None,
        Concurrence(steps),
        Sequence(finalize),
        table,
        {},
        0.0,
        policies or {},
        dependencies or {},
        (),
    )


def payloads(action_ids, references=None):
    return [Payload(action_id, b"in%d" % action_id, references, None) for action_id in action_ids]


def test_a_plan_that_came_with_its_payloads_needs_no_reader():
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2]), payloads([10, 20]))

    shelf.ready("p", [1, 2])
    jobs, wanted = shelf.take()

    assert [(item.job.step_id, item.job.input, item.job.attempt) for item in jobs] == [
        (1, b"in10", 1),
        (2, b"in20", 1),
    ]
    assert wanted == []
    assert not shelf.pending


def test_a_large_plan_s_payloads_come_by_page():
    shelf = Shelf()
    steps = range(1, 3 * PAGE)
    shelf.open(a_skeleton(steps), [])

    shelf.ready("p", steps)
    jobs, (first,) = shelf.take()
    assert jobs == []
    assert first.step_ids == tuple(range(1, PAGE + 1))
    assert shelf.take() == ([], [])

    assert shelf.arrived(PayloadPage(first, payloads(first.action_ids), {})) == []
    jobs, (second,) = shelf.take()
    assert len(jobs) == PAGE
    assert second.step_ids[0] == PAGE + 1


def test_no_more_than_a_window_of_jobs_is_out_at_a_time():
    shelf = Shelf()
    steps = list(range(1, 3 * WINDOW))
    shelf.open(a_skeleton(steps), payloads([step * 10 for step in steps]))

    shelf.ready("p", steps)
    jobs, _ = shelf.take()
    assert len(jobs) == WINDOW
    for item in jobs[:5]:
        shelf.finished("p", item.job.action_id, SUCCESS, None)

    jobs, _ = shelf.take()
    assert len(jobs) == 5


def test_an_output_others_refer_to_is_kept_for_them():
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2], {20: (10,)}), [*payloads([10]), *payloads([20], b"refs")])
    shelf.ready("p", [1])
    shelf.take()

    shelf.finished("p", 10, SUCCESS, b"output of 10")
    shelf.ready("p", [2])
    (item,), wanted = shelf.take()

    assert item.job.producers == {10: b"output of 10"}
    assert wanted == []


def test_an_empty_output_is_an_empty_map():
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2], {20: (10,)}), [*payloads([10]), *payloads([20], b"refs")])
    shelf.ready("p", [1])
    shelf.take()

    shelf.finished("p", 10, SUCCESS, None)
    shelf.ready("p", [2])
    (item,), _ = shelf.take()

    assert item.job.producers == {10: EMPTY}


def test_outputs_that_are_not_at_hand_are_read():
    """After a resume the producer's outcome never came by here."""
    shelf = Shelf()
    shelf.open(a_skeleton([2], {20: (10,)}), payloads([20], b"refs"))

    shelf.ready("p", [2])
    jobs, (wanted,) = shelf.take()
    assert jobs == []
    assert wanted.producer_ids == (10,)

    shelf.arrived(PayloadPage(wanted, payloads([20], b"refs"), {10: b"from the store"}))
    (item,), _ = shelf.take()
    assert item.job.producers == {10: b"from the store"}


def test_a_step_that_is_called_again_is_read_again():
    """Its stored input and output have changed since the plan came in."""
    shelf = Shelf()
    shelf.open(a_skeleton([1]), payloads([10]))
    shelf.ready("p", [1])
    shelf.take()
    shelf.finished("p", 10, StepState.SUSPENDED, b"so far")

    shelf.ready_event("p", 1, b"event")
    jobs, (wanted,) = shelf.take()
    assert jobs == []
    shelf.arrived(PayloadPage(wanted, [Payload(10, b"in", None, b"so far")], {}))
    (item,), _ = shelf.take()

    assert (item.job.event, item.job.output) == (b"event", b"so far")


def test_a_long_sequence_is_not_read_step_by_step():
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2, 3, 4]), [])

    shelf.ready("p", [1])
    _, (wanted,) = shelf.take()
    assert (wanted.step_ids, wanted.ahead) == ((1,), (2, 3, 4))
    assert wanted.action_ids == (10, 20, 30, 40)
    shelf.arrived(PayloadPage(wanted, payloads(wanted.action_ids), {}))
    shelf.take()
    shelf.ready("p", [2])
    (item,), wanted = shelf.take()

    assert (item.job.step_id, item.job.input) == (2, b"in20")
    assert wanted == []


def test_what_was_read_ahead_of_a_step_that_has_begun_meanwhile_is_not_kept():
    skeleton = a_skeleton([1, 2])
    shelf = Shelf()
    shelf.open(skeleton, [])
    shelf.ready("p", [1])
    _, (wanted,) = shelf.take()

    skeleton.steps.set_state(2, StepState.SUSPENDED)
    skeleton.steps.set_attempts(2, 1)
    shelf.arrived(PayloadPage(wanted, payloads(wanted.action_ids), {}))
    shelf.take()
    shelf.ready_event("p", 2, b"event")

    jobs, (again,) = shelf.take()
    assert jobs == []
    assert again.step_ids == (2,)


def test_finalize_is_one_job_with_all_its_parts():
    shelf = Shelf()
    shelf.open(a_skeleton([1], {30: (10,)}, finalize=[3, 4]), payloads([10]))

    shelf.ready_finalize("p", [3, 4])
    _, (wanted,) = shelf.take()
    assert (wanted.step_ids, wanted.producer_ids, wanted.finalize) == ((3, 4), (10,), True)

    shelf.arrived(PayloadPage(wanted, payloads([30, 40]), {10: b"out"}))
    (item,), _ = shelf.take()
    assert [part.step_id for part in item.job.parts] == [3, 4]
    assert item.job.producers == {10: b"out"}


def test_steps_whose_actions_are_missing_are_named():
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2]), [])
    shelf.ready("p", [1, 2])
    _, (wanted,) = shelf.take()

    assert shelf.arrived(PayloadPage(wanted, payloads([10]), {})) == [2]


@pytest.mark.parametrize("late", ["page", "ready", "finished", "event", "finalize"])
def test_a_closed_plan_is_forgotten(late):
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2]), [])
    shelf.ready("p", [1])
    _, (wanted,) = shelf.take()

    shelf.close("p")
    shelf.close("p")
    if late == "page":
        assert shelf.arrived(PayloadPage(wanted, payloads([10]), {})) == []
    elif late == "ready":
        shelf.ready("p", [2])
    elif late == "finished":
        shelf.finished("p", 10, SUCCESS, None)
    elif late == "event":
        shelf.ready_event("p", 1, b"")
    else:
        shelf.ready_finalize("p", [2])

    assert shelf.take() == ([], [])
    assert not shelf.knows("p")


def test_the_limits_of_a_class_go_with_its_jobs():
    shelf = Shelf()
    policies = {"A": ActionPolicy(run_timeout_s=2.0, memory_limit=1000), "B": ActionPolicy()}
    shelf.open(a_skeleton([1])._replace(policies=policies), payloads([10]))
    shelf.open(a_skeleton([1], plan_id="q"), payloads([10]))

    shelf.ready("p", [1])
    shelf.ready("q", [1])
    jobs, _ = shelf.take()

    assert [item.limits for item in jobs] == [Limits(2.0, 1000), None]


def test_a_step_that_waits_for_sub_plans_is_briefed_each_time_it_is_sent():
    shelf = Shelf()
    shelf.open(a_skeleton([1], policies={"A": ActionPolicy(with_sub_plans=True)}), payloads([10]))

    for event in (None, b"woken"):
        if event is None:
            shelf.ready("p", [1])
        else:
            shelf.ready_event("p", 1, event)
        jobs, (wanted,) = shelf.take()
        assert jobs == []
        assert wanted.briefed == (10,)

        shelf.arrived(PayloadPage(wanted, payloads([10]), {}, {10: b"counts"}))
        ((job, *_),), _ = shelf.take()
        assert (job.briefing, job.event) == (b"counts", event)
        shelf.finished("p", 10, StepState.SUSPENDED, None)


def test_who_goes_on_making_sub_plans_needs_no_briefing():
    shelf = Shelf()
    shelf.open(a_skeleton([1], policies={"A": ActionPolicy(with_sub_plans=True)}), payloads([10]))

    shelf.ready_event("p", 1, encode(Signal.NEXT_BATCH, "event"))
    _, (wanted,) = shelf.take()

    assert wanted.briefed == ()


def test_nothing_of_a_plan_that_was_withdrawn_becomes_a_job_any_more():
    """Not what waited, not what was complete, not what is being read, nor finalize."""
    shelf = Shelf()
    shelf.open(a_skeleton([1, 2, 3], finalize=[4]), payloads([10]))
    shelf.ready("p", [1, 2])
    jobs, (wanted,) = shelf.take()
    shelf.ready("p", [3])
    shelf.ready_finalize("p", [4])
    _, (*_, finalize) = shelf.take()

    shelf.withdraw("p")

    for page in (wanted, finalize):
        assert shelf.arrived(PayloadPage(page, payloads([20, 30, 40]), {})) == []
    assert [item.job.step_id for item in jobs] == [1]
    assert shelf.take() == ([], [])
    assert (shelf.knows("p"), shelf.sends("p")) == (True, False)


def test_a_step_that_is_being_skipped_is_told_so():
    shelf = Shelf()
    skeleton = a_skeleton([1, 2])
    skeleton.steps.set_state(2, StepState.SKIPPING)
    shelf.open(skeleton, payloads([10, 20]))

    shelf.ready("p", [1, 2])
    jobs, _ = shelf.take()

    assert [item.job.skipping for item in jobs] == [False, True]
