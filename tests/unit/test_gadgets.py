"""Names and bytes made to run something when they are read: none of them does."""

from __future__ import annotations

import os
import pickle  # what an attacker would send
import sys
from typing import Any

import msgpack
import pytest

from dynflow_mp.actions.action import Missing, find_or_missing
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.actions.registry import registry
from dynflow_mp.errors import DamagedData, ProtocolError, UnknownAction, UnknownError
from dynflow_mp.executor import wire
from dynflow_mp.model.codec import EMPTY, decode
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, StepJob
from dynflow_mp.reading.recorded_error import RecordedError

NAMES = [
    *(
        "os.system",
        "posix.system",
        "builtins.eval",
        "builtins.exec",
        "builtins.__import__",
        "subprocess.Popen",
    ),
    *("pickle.loads", "importlib.import_module", "antigravity.fly", "this", "sys.exit", "ctypes.CDLL"),
    *("dynflow_mp.executor.boot.Boot", "dynflow_mp.World", "dynflow_mp.actions.action.Action", "__main__"),
    *("", ".", "..", "os.", ".system", "os.system\0", "../../etc/passwd", "a" * 100_000, "os.system()"),
    *("{0.__class__}", "object.__subclasses__", "type", "str.format", "<lambda>", "os:system"),
]


class Runs:
    """Would make a file, were it unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("gadget-has-run",)


GADGETS = [
    *(pickle.dumps(Runs(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    b"cos\nsystem\n(S'mkdir gadget-has-run'\ntR.",
    b"!!python/object/apply:os.mkdir ['gadget-has-run']",
    msgpack.packb(msgpack.ExtType(42, pickle.dumps(Runs()))),
    msgpack.packb(msgpack.ExtType(4, b"__import__('os').mkdir('gadget-has-run')")),
    msgpack.packb(msgpack.ExtType(5, b"os.mkdir")),
    msgpack.packb({"__class__": "os.mkdir", "py/object": "os.mkdir", "__reduce__": ["os.mkdir", ["x"]]}),
]


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    assert list(tmp_path.iterdir()) == []
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_g37_a_class_is_found_in_the_registry_or_not_at_all(name: str) -> None:
    with pytest.raises(UnknownAction):
        registry.find(name)
    assert issubclass(find_or_missing(name), Missing)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_g37_a_job_that_names_something_else_is_a_failed_step(name: str) -> None:
    outcome = run_step(StepJob("plan", 1, 1, 1, name, EMPTY))
    [finalized] = run_finalize(
        FinalizeJob("plan", (FinalizePart(2, 1, 1, name, EMPTY, None, None),), {}, root_class=name)
    )

    for each in (outcome, finalized):
        assert each.state is StepState.ERROR
        assert each.error is not None
        assert ErrorRecord.from_bytes(each.error).exception_class == "dynflow_mp.errors.UnknownAction"


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30])
def test_g37_a_recorded_error_that_names_something_else_is_a_stand_in(name: str) -> None:
    error = RecordedError(name, "message").exception

    assert isinstance(error, UnknownError)
    assert type(error).name == name  # type: ignore[attr-defined]


def test_g37_a_recorded_error_has_nothing_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not by a module that imports when it is asked for an attribute."""
    asked: list[str] = []
    lazy = type(sys)("lazy_module")
    lazy.__getattr__ = asked.append  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)

    error = RecordedError("lazy_module.inner.Failure", "message").exception

    assert isinstance(error, UnknownError)
    assert asked == []


@pytest.mark.parametrize("gadget", GADGETS)
def test_g37_bytes_that_would_run_something_are_data_or_damaged(gadget: bytes) -> None:
    try:
        value = decode(gadget)
    except DamagedData:
        pass
    else:
        assert type(value) in (int, str, bytes, dict, list, type(None))
    with pytest.raises(ProtocolError):
        Envelope.from_bytes(gadget)
    with pytest.raises(DamagedData):
        plan_from_bytes(gadget)
    for read in (wire.decode_jobs, wire.decode_outcomes, wire.decode_hello):
        with pytest.raises(ProtocolError):
            read(gadget)
