"""Who goes on with plans that nobody runs any more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dynflow_mp.connectors.connector import Connector, Executor, Receiver
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.maintenance.heirs import Heirs
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution

REQUEST = Envelope("client", ANY_EXECUTOR, "client-1", Execution("plan"))
ELSEWHERE = Executor("elsewhere", "ipc:///elsewhere", {"default": 1})


class Wire(Connector):
    """A connector to other worlds that only notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[Envelope] = []

    def start_listening(self, receiver: Receiver) -> None: ...

    def stop_receiving_new_work(self, receiver: Receiver) -> None: ...

    def stop_listening(self, receiver: Receiver) -> None: ...

    def send(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


class Embedded(DirectConnector):
    """An embedded world's connector that only notes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Envelope] = []

    def send(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


class Directory:
    def __init__(self, *listed: Executor) -> None:
        self.listed = listed

    def executors(self) -> Sequence[Executor]:
        return self.listed

    def endpoint(self, world_id: str) -> str | None:
        return None


def test_an_executor_goes_on_itself_with_what_it_took_over() -> None:
    wire, received = Wire(), list[Envelope]()

    Heirs(wire, Directory(ELSEWHERE), received.append).go_on(REQUEST)

    assert (received, wire.sent) == ([REQUEST], [])


def test_a_client_world_asks_an_executor_to_go_on() -> None:
    wire = Wire()

    Heirs(wire, Directory(ELSEWHERE), None).go_on(REQUEST)

    assert wire.sent == [REQUEST]


@pytest.mark.parametrize(("listed", "takes_it"), [((), True), ((ELSEWHERE,), False)])
def test_an_embedded_world_takes_others_plans_only_if_nobody_else_is_there(
    listed: tuple[Executor, ...], takes_it: bool
) -> None:
    embedded, received = Embedded(), list[Envelope]()
    heirs = Heirs(embedded, Directory(*listed), received.append)

    heirs.go_on(REQUEST)
    heirs.ask_any(REQUEST)

    expected = [REQUEST] if takes_it else []
    assert (received, embedded.sent) == (expected, expected)


def test_an_executor_asks_any_for_a_plan_that_nobody_took() -> None:
    wire, received = Wire(), list[Envelope]()

    Heirs(wire, Directory(), received.append).ask_any(REQUEST)

    assert (received, wire.sent) == ([], [REQUEST])
