"""Orders to end sub-plans are carried out on a thread that is there from the first order on – or from a later one."""

import threading
from threading import Event

from dynflow_mp.director.instructions import EndSubPlans
from dynflow_mp.maintenance.sub_plan_endings import SubPlanEndings
from dynflow_mp.model.sub_plans import Ending

DEADLINE_S = 10.0


class Store:
    """Notes whose sub-plans were ended."""

    def __init__(self):
        self.ended, self.both = [], Event()

    def end_never_begun(self, plan_id, *_):
        self.ended.append(plan_id)
        if len(self.ended) == 2:
            self.both.set()
        return 0


def test_an_order_given_while_no_thread_can_be_had_is_carried_out_with_the_next(monkeypatch):
    store = Store()
    endings = SubPlanEndings(store, lambda connection: None, lambda *_: None, lambda *_: None)

    def no_room(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", no_room)
        endings.carry_out(EndSubPlans("first", None, None, Ending.HELD_BACK))
    endings.carry_out(EndSubPlans("second", None, None, Ending.HELD_BACK))

    assert store.both.wait(DEADLINE_S)
    endings.stop()
    assert store.ended == ["first", "second"]
