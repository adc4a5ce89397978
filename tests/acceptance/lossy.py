"""A connector that loses, doubles, delays and repeats what goes through it, in both directions."""

import random
import threading
import time
from collections import Counter

from dynflow_mp.connectors.connector import Connector

LOST, DOUBLED, LATE = 0.2, 0.3, 0.3
LONGEST_DELAY_S = 0.5


class Lossy(Connector):
    """Around the connector of one world. Late envelopes are overtaken by others; all are kept, to be sent again."""

    def __init__(self, inner, seed):
        self.inner = inner
        self.counts = Counter()
        self.requests = []
        """Everything this world has asked, whether it went through or not."""
        self.answers = []
        """Everything it was answered."""
        self._random = random.Random(seed)
        self._guard = threading.Lock()
        self._timers = set()
        self._receiver = None

    @property
    def endpoint(self):
        return self.inner.endpoint

    def start_listening(self, receiver):
        self._receiver = _Behind(self, receiver)
        self.inner.start_listening(self._receiver)

    def stop_receiving_new_work(self, receiver):
        self.inner.stop_receiving_new_work(self._receiver)

    def stop_listening(self, receiver):
        for timer in list(self._timers):
            timer.cancel()
        self.inner.stop_listening(self._receiver)

    def settled(self, request_id):
        self.inner.settled(request_id)

    def send(self, envelope):
        self.requests.append(envelope)
        self.pass_on(self.inner.send, envelope)

    def pass_on(self, deliver, envelope):
        """Never, once or twice; now or later."""
        with self._guard:
            fate = self._random.random()
            copies = 0 if fate < LOST else 2 if fate < LOST + DOUBLED else 1
            delays = [
                self._random.random() * LONGEST_DELAY_S if self._random.random() < LATE else 0.0
                for _ in range(copies)
            ]
            self.counts[("lost", "passed", "doubled")[copies]] += 1
            self.counts["late"] += sum(delay > 0 for delay in delays)
        for delay in delays:
            if delay:
                self._later(delay, deliver, envelope)
            else:
                deliver(envelope)

    def _later(self, delay_s, deliver, envelope):
        timer = threading.Timer(delay_s, lambda: (self._timers.discard(timer), deliver(envelope)))
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def wait_for_the_late(self, seconds=20.0):
        """Until nothing is under way here any more."""
        deadline = time.monotonic() + seconds
        while self._timers:
            assert time.monotonic() < deadline, "something is later than it may be"
            time.sleep(0.01)


class _Behind:
    """The world, as the inner connector sees it."""

    def __init__(self, lossy, receiver):
        self._lossy, self._receiver = lossy, receiver

    @property
    def world_id(self):
        return self._receiver.world_id

    @property
    def takes_work(self):
        return self._receiver.takes_work

    def receive(self, envelope):
        self._lossy.answers.append(envelope)
        self._lossy.pass_on(self._receiver.receive, envelope)

    def undeliverable(self, envelope, error):
        self._receiver.undeliverable(envelope, error)
