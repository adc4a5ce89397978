"""Worker processes as their supervisor starts, hears and ends them: real ones."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from dynflow_mp.clock import steady
from dynflow_mp.errors import ConfigError
from dynflow_mp.executor import wire
from dynflow_mp.executor.news import (
    News,
    StartFailed,
    WorkerDied,
    WorkerReady,
    WorkFinished,
    WorkReturned,
)
from dynflow_mp.executor.processes import Processes
from dynflow_mp.executor.worker_process import WorkerSettings
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, StepJob

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("ROUNDS", "15"))
"""Workers ended in the test of all ways to end; more of them by hand."""
SETTINGS = WorkerSettings(("worker_actions",), None, 4 * 1024 * 1024)


class Host:
    """What a core does with its processes: poll and hear."""

    def __init__(self, directory: Path, settings: WorkerSettings = SETTINGS) -> None:
        self.poller = zmq.Poller()
        self.processes = Processes(directory, settings, self.poller)
        self.news: list[News] = []
        self.until_when = inf

    def hear(self, timeout_s: float = 0.05) -> list[News]:
        heard = self.processes.hear(dict(self.poller.poll(int(timeout_s * 1000))))
        self.news += heard
        self.processes.renew_deadline(self.until_when)
        return heard

    def until(self, condition: Callable[[], Any], timeout_s: float = 15.0) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"did not happen; heard {self.news}"
            self.hear()
        return found

    def first(self, kind: type[Any]) -> Any:
        return self.until(lambda: next((news for news in self.news if isinstance(news, kind)), None))

    def worker(self) -> str:
        worker_id = self.processes.spawn("default")
        self.until(
            lambda: any(isinstance(news, WorkerReady) and news.worker_id == worker_id for news in self.news)
        )
        return worker_id

    def outcomes(self) -> dict[int, Any]:
        return {
            number: outcome
            for news in self.news
            if isinstance(news, WorkFinished)
            for number, outcome in news.outcomes
        }

    def outcome(self, number: int) -> Any:
        return self.until(lambda: self.outcomes().get(number))

    def returned(self) -> list[int]:
        return [n for news in self.news if isinstance(news, WorkReturned) for n in news.job_numbers]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.syspath_prepend(str(HERE))
    host = Host(tmp_path / "w")
    host.processes.start()
    yield host
    host.processes.stop(0.0)


def job(action: str, number: int = 1, **given: Any) -> StepJob:
    data = encode(given, "input")
    return StepJob("plan", number, number, 1, f"worker_actions.{action}", data)


def numbered(*jobs: StepJob, first: int = 1) -> list[tuple[int, StepJob]]:
    return list(enumerate(jobs, first))


def output(outcome: Any) -> Any:
    return decode(outcome.output)


def error(outcome: Any) -> ErrorRecord:
    return ErrorRecord.from_bytes(outcome.error)


def waiting(tmp_path: Path, number: int = 1) -> tuple[StepJob, Path, Path]:
    begun, go = tmp_path / "begun", tmp_path / "go"
    return job("Wait", number, begun=str(begun), go=str(go)), begun, go


def test_a_worker_runs_jobs_and_answers_each(host: Host) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(*(job("Echo", n, say=n) for n in range(1, 101))))

    host.until(lambda: len(host.outcomes()) == 100)
    assert [output(host.outcomes()[n])["heard"] for n in range(1, 101)] == list(range(1, 101))
    assert host.outcomes()[7].step_id == 7


def test_a_finalize_job_is_answered_part_by_part(host: Host) -> None:
    worker = host.worker()
    parts = tuple(
        FinalizePart(n, n, 1, "worker_actions.Finish", encode({}, "input"), None, None) for n in (1, 2)
    )

    host.processes.send(worker, [(1, FinalizeJob("plan", parts, {}))])

    assert [part.state for part in host.outcome(1)] == ["success", "success"]


def test_a_worker_killed_while_it_runs_a_step_tells_what_it_had_done(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    wait, begun, _ = waiting(tmp_path, 3)
    host.processes.send(worker, numbered(job("Nothing", 1), job("Nothing", 2), wait, job("Nothing", 4)))
    host.until(begun.exists)

    killed_at = time.monotonic()
    os.kill(host.processes.pids[worker], signal.SIGKILL)
    died = host.first(WorkerDied)
    noticed_s = time.monotonic() - killed_at

    assert sorted(host.outcomes()) == [1, 2]
    assert (died.worker_id, died.cause, died.begun, died.finished) == (worker, "signal(9)", 3, 2)
    assert "SIGKILL" in died.message
    assert host.news[-1] is died
    assert noticed_s < 0.5
    assert worker not in host.processes.pids


def test_recall_brings_back_exactly_the_jobs_not_begun(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    wait, begun, go = waiting(tmp_path)
    host.processes.send(worker, numbered(wait, *(job("Nothing", n) for n in range(2, 6))))
    host.until(begun.exists)

    host.processes.recall(worker, [4])
    host.until(lambda: host.returned() == [4])
    host.processes.recall(worker)
    host.until(lambda: len(host.returned()) == 4)
    go.touch()
    host.processes.send(worker, [(6, job("Nothing", 6))])

    host.outcome(6)
    assert sorted(host.returned()) == [2, 3, 4, 5]
    assert sorted(host.outcomes()) == [1, 6]


def test_workers_can_be_started_although_somebody_has_tidied_up_temporary_files(
    host: Host, tmp_path: Path
) -> None:
    before = host.worker()
    held, begun, go = waiting(tmp_path)
    host.processes.send(before, numbered(held))
    host.until(begun.exists)
    shutil.rmtree(tmp_path / "w")

    host.processes.spawn("default")
    go.touch()  # what is on its way to or from those that are there already arrives
    host.processes.send(before, numbered(job("Nothing", 2), first=2))
    assert [host.outcome(number).state for number in (1, 2)] == ["success", "success"]
    after = host.worker()
    host.processes.send(after, numbered(job("Nothing", 3), first=3))

    assert host.outcome(3).state == "success"
    assert [news for news in host.news if isinstance(news, WorkerDied)] == []


def test_a_worker_that_stands_still_may_be_asked_for_its_work_any_number_of_times(
    host: Host, tmp_path: Path
) -> None:
    worker_id = host.worker()
    first, begun, go = waiting(tmp_path)
    host.processes.send(worker_id, numbered(first, job("Echo", 2)))
    host.until(begun.exists)
    os.killpg(host.processes.pids[worker_id], signal.SIGSTOP)

    for _ in range(5_000):  # more than its queue holds
        host.processes.recall(worker_id)

    os.killpg(host.processes.pids[worker_id], signal.SIGCONT)
    go.touch()
    host.outcome(1)
    host.until(lambda: 2 in host.returned())


def test_jobs_given_back_are_known_even_if_the_worker_dies_before_saying_so(
    host: Host, tmp_path: Path
) -> None:
    worker = host.worker()
    wait, begun, _ = waiting(tmp_path)
    host.processes.send(worker, numbered(wait, job("Nothing", 2), job("Nothing", 3)))
    host.until(begun.exists)

    host.processes.recall(worker, [2])
    host.processes.kill(worker)
    died = host.first(WorkerDied)

    assert died.begun == 1
    assert host.returned() in ([], [2])


def test_outcomes_do_not_wait_behind_a_step_that_turns_out_long(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    _, begun, go = waiting(tmp_path)
    go.touch()
    quick = [job("Wait", n, begun=str(tmp_path / "other"), go=str(go)) for n in range(1, 6)]
    host.processes.send(worker, numbered(*quick))
    host.until(lambda: len(host.outcomes()) == 5)
    long = job("Wait", 8, begun=str(begun), go=str(tmp_path / "never"))

    host.processes.send(worker, numbered(quick[0], quick[1], long, first=6))

    host.until(begun.exists)
    host.until(lambda: {6, 7} <= set(host.outcomes()), timeout_s=2.0)


@pytest.mark.parametrize(
    ("how", "cause", "words"),
    [
        ("os._exit", "exit(7)", "exit status 7"),
        ("os.abort", "signal(6)", "crashed in native code"),
        ("kill", "signal(9)", "SIGKILL"),
    ],
)
def test_a_step_that_ends_its_process_is_named_with_its_cause(
    host: Host, how: str, cause: str, words: str
) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(job("Nothing"), job("Die", how=how), job("Nothing")))

    died = host.first(WorkerDied)
    assert (died.begun, died.finished, died.cause) == (2, 1, cause)
    assert words in died.message


def test_what_was_finished_before_is_not_lost_with_a_worker_that_dies_at_once(host: Host) -> None:
    for _ in range(5):
        host.news.clear()
        worker = host.worker()

        host.processes.send(worker, numbered(job("Echo", say="kept"), job("Die", how="os._exit")))

        assert host.first(WorkerDied).begun == 2
        assert list(host.outcomes()) == [1]


def test_sys_exit_in_a_step_is_its_error_and_the_worker_goes_on(host: Host) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(job("Die", how="sys.exit"), job("Echo", say="still here")))

    assert error(host.outcome(1)).exception_class == "SystemExit"
    assert output(host.outcome(2)) == {"heard": "still here"}


def test_a_step_that_closes_every_descriptor_costs_its_worker_and_no_outcome(host: Host) -> None:
    worker = host.worker()
    jobs = numbered(job("Echo", say="before"), job("Die", how="close"), job("Echo", say="behind"))

    host.processes.send(worker, jobs)

    died = host.first(WorkerDied)
    assert (died.cause, died.begun) == ("replaced", died.finished)
    assert died.message.endswith("left to be replaced: a step closed descriptors that were not its own")
    assert died.begun >= 2  # the third may have been in the same breath
    assert sorted(host.outcomes()) == list(range(1, died.begun + 1))


def test_a_dead_finalize_says_which_part_it_was_at(host: Host) -> None:
    worker = host.worker()
    inputs = ({}, {}, {"die": True})
    parts = tuple(
        FinalizePart(n, n, 1, "worker_actions.Finish", encode(given, "input"), None, None)
        for n, given in enumerate(inputs)
    )

    host.processes.send(worker, [(1, FinalizeJob("plan", parts, {}))])

    died = host.first(WorkerDied)
    assert (died.begun, died.finished, died.part) == (1, 0, 2)


def test_g23_a_worker_that_prints_does_not_wait_for_a_core_that_does_not_listen(
    host: Host, tmp_path: Path
) -> None:
    worker = host.worker()
    done = tmp_path / "done"

    host.processes.send(worker, numbered(job("PrintAndTouch", megabytes=20, done=str(done))))

    wait_until(done.exists, 60.0)  # nobody hears meanwhile, as in an outage of the database


def test_g15_deaths_are_noticed_and_places_are_filled_quickly(host: Host) -> None:
    """Promised are 50 ms and a second; here a machine with other things to do gets more."""
    noticed, ready = [], []
    for _ in range(5):
        worker = host.worker()
        host.news.clear()
        began = time.monotonic()
        os.kill(host.processes.pids[worker], signal.SIGKILL)
        host.first(WorkerDied)
        noticed.append(time.monotonic() - began)
        host.worker()
        ready.append(time.monotonic() - began)

    assert sorted(noticed)[2] < 0.5, noticed
    assert sorted(ready)[2] < 10.0, ready


def test_a_hundred_printed_megabytes_block_nobody(host: Host) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(job("Print", megabytes=100)))

    host.outcome(1)
    host.until(lambda: host.processes.output_tail(worker).endswith("last line\n"))
    assert len(host.processes.output_tail(worker)) <= 48 * 1024


def test_a_stuck_worker_shows_where_it_is(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    begun = tmp_path / "begun"
    host.processes.send(worker, numbered(job("Spin", begun=str(begun))))
    host.until(begun.exists)

    host.processes.dump_stacks(worker)

    host.until(lambda: "worker_actions.py" in "".join(host.processes.stack(worker)))


def test_a_retired_worker_finishes_its_step_gives_back_the_rest_and_leaves(
    host: Host, tmp_path: Path
) -> None:
    worker = host.worker()
    wait, begun, go = waiting(tmp_path)
    host.processes.send(worker, numbered(wait, job("Nothing", 2), job("Nothing", 3)))
    host.until(begun.exists)

    host.processes.retire(worker)
    host.until(lambda: host.returned() == [2, 3])
    go.touch()

    died = host.first(WorkerDied)
    assert sorted(host.outcomes()) == [1]
    assert (died.cause, died.begun, died.finished) == ("exit(0)", 1, 1)
    assert "as it was asked to" in died.message


def test_a_retired_worker_leaves_in_spite_of_threads_its_steps_left(host: Host) -> None:
    worker = host.worker()
    host.processes.send(worker, numbered(job("LeaveThread")))
    host.outcome(1)

    host.processes.retire(worker)

    assert host.first(WorkerDied).cause == "exit(0)"


def test_stop_leaves_no_process_no_zombie_and_no_file(host: Host, tmp_path: Path) -> None:
    workers = [host.worker(), host.worker()]
    begun = tmp_path / "begun"
    host.processes.send(workers[0], numbered(job("Spin", begun=str(begun))))
    host.until(begun.exists)
    host.processes.spawn("default")

    began = time.monotonic()
    host.processes.stop(0.3)
    took_s = time.monotonic() - began
    host.processes.stop(0.3)

    assert took_s < 2.5
    assert [
        child.cmdline() for child in psutil.Process().children() if "dynflow" in str(child.cmdline())
    ] == []
    assert not (tmp_path / "w").exists()
    assert host.processes.pids == {}


def test_a_module_that_cannot_be_imported_is_named_with_the_reason(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_app.py").write_text("import no_such_thing_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host.processes._settings = SETTINGS._replace(apps=("broken_app",))

    host.processes.spawn("default")

    failed = host.first(StartFailed)
    assert (failed.queue, failed.exit_code) == ("default", 4)
    assert "broken_app" in failed.reason
    assert "no_such_thing_at_all" in failed.reason


def test_a_module_that_exits_when_imported_is_named(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_app.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host.processes._settings = SETTINGS._replace(apps=("leaving_app",))

    host.processes.spawn("default")

    failed = host.first(StartFailed)
    assert failed.exit_code == 4
    assert "leaving_app" in failed.reason


def test_a_worker_that_does_not_say_hello_in_time_is_given_up(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_app.py").write_text("import time; time.sleep(1000)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host.processes._settings = SETTINGS._replace(apps=("slow_app",), start_timeout_s=0.8)

    host.processes.spawn("default")

    failed = host.first(StartFailed)
    assert failed.exit_code is None
    assert "importing slow_app after 0.8 s" in failed.reason


def test_a_worker_that_dies_starting_says_what_it_printed_last(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynflow_mp.executor.worker_process._MODULE", "dynflow_mp.executor.no_such_module")

    host.processes.spawn("default")

    failed = host.first(StartFailed)
    assert failed.exit_code == 1
    assert "no_such_module" in failed.reason


def test_garbage_on_the_socket_is_counted_and_answered_by_nobody(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.connect(f"ipc://{tmp_path}/w/workers")
    token = b"\0" * 32
    frames = [
        b"",
        b"garbage",
        b"\xff" * 100,
        wire.encode_outcomes([]),
        wire.encode_hello(wire.Hello(token, 1, 1)),
    ]

    for frame in frames:
        stranger.send(frame)
    stranger.send_multipart([b"1"] * 50)

    host.until(lambda: host.processes.protocol_errors == len(frames) + 1)
    host.processes.send(worker, numbered(job("Echo", say="unharmed")))
    assert output(host.outcome(1)) == {"heard": "unharmed"}
    stranger.close(linger=0)
    context.term()


def test_a_worker_that_sends_garbage_is_replaced_not_believed(host: Host) -> None:
    worker = host.worker()
    process = host.processes._roster.by_id[worker]

    host.processes._reception.take(process.routes["work"], b"\x01\x03garbage")

    died = host.first(WorkerDied)
    assert died.cause == "protocol_error"
    assert host.processes.protocol_errors == 1


def test_sending_to_a_dead_worker_is_silent(host: Host) -> None:
    worker = host.worker()
    os.kill(host.processes.pids[worker], signal.SIGKILL)

    for number in range(1, 20):
        host.processes.send(worker, [(number, job("Nothing"))])
    host.first(WorkerDied)
    host.processes.send(worker, [(20, job("Nothing"))])
    host.processes.recall(worker)
    host.processes.retire(worker)


def test_an_outcome_too_large_for_the_payload_limit_is_the_steps_error(host: Host) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(job("Large", bytes=5_000_000), job("Large", bytes=3_000_000)))

    assert "max_payload" in error(host.outcome(1)).message
    assert len(output(host.outcome(2))["data"]) == 3_000_000


def test_a_worker_loads_nothing_of_the_engine(host: Host) -> None:
    worker = host.worker()

    host.processes.send(worker, numbered(job("Modules")))

    loaded = set(output(host.outcome(1))["modules"])
    ours = {
        f"dynflow_mp.{room}" for room in ("director", "persistence", "coordinator", "dispatchers", "world")
    }
    ours |= {f"dynflow_mp.executor.{name}" for name in ("core", "processes", "pool", "guard")}
    assert not loaded & (ours | {"sqlalchemy", "alembic", "psutil", "click", "rich"})


def test_a_worker_has_its_supervisors_surroundings_without_its_settings(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNFLOW_DATABASE_URL", "secret")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    monkeypatch.setenv("OF_THE_USER", "kept")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    worker = host.worker()

    host.processes.send(worker, numbered(job("Surroundings")))

    there = output(host.outcome(1))
    assert not {"DYNFLOW_DATABASE_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC", "PYTHONPATH"} & set(
        there["environment"]
    )
    assert there["environment"]["OF_THE_USER"] == "kept"
    assert there["cwd"] == os.getcwd()
    assert there["path"] == sys.path
    assert there["rss_kb"] < 25 * 1024


def test_actions_of_the_program_being_run_are_there(host: Host, tmp_path: Path) -> None:
    script = tmp_path / "my_program.py"
    script.write_text(
        "from dynflow_mp.actions.action import Action\n"
        "class Mine(Action):\n"
        "    def run(self):\n"
        "        self.output['name'] = __name__\n"
        "if __name__ == '__main__':\n"
        "    raise SystemExit('not in a worker')\n"
    )
    host.processes._settings = WorkerSettings((), ("my_program", str(script)), 1_000_000)
    worker = host.worker()

    host.processes.send(worker, [(1, job("Nothing")._replace(action_class="my_program.Mine"))])

    assert output(host.outcome(1)) == {"name": "my_program"}


def test_a_guardian_that_dies_is_replaced_and_told_everything(host: Host) -> None:
    host.worker()
    guardian = host.processes._guard.pid
    assert guardian is not None

    host.until(lambda: time.monotonic() - host.processes._guard._started > 1.0)
    os.kill(guardian, signal.SIGKILL)

    host.until(lambda: host.processes._guard.pid not in (None, guardian))


def test_a_directory_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)

    with pytest.raises(ConfigError, match="nobody else may enter"):
        Host(tmp_path / "open").processes.start()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="107 bytes"):
        Host(tmp_path / ("long" * 40)).processes.start()


def test_every_job_is_answered_given_back_or_in_a_dead_workers_hands_exactly_once(host: Host) -> None:
    chance = random.Random(20)
    how_often: Counter[tuple[str, int]] = Counter()
    for _ in range(ROUNDS):
        host.news.clear()
        worker = host.worker()
        last = 0
        for _ in range(chance.randrange(1, 8)):
            count = chance.randrange(1, 40)
            host.processes.send(worker, numbered(*[job("Nothing")] * count, first=last + 1))
            last += count
            if chance.random() < 0.5:
                host.processes.recall(worker)
            if chance.random() < 0.5:
                host.hear(0.001)
        end = chance.choice((host.processes.kill, host.processes.terminate, host.processes.retire))

        end(worker)
        died = host.first(WorkerDied)

        settled = list(host.outcomes()) + host.returned()
        how_often.update((worker, number) for number in settled)
        unsettled = set(range(1, last + 1)) - set(settled)
        if end == host.processes.retire:
            assert unsettled == set()
            assert died.cause == "exit(0)"
        assert {n for n in unsettled if died.finished < n <= died.begun} <= {died.begun}
        assert max(host.outcomes(), default=0) <= died.finished
    assert set(how_often.values()) <= {1}


def test_a_job_too_large_to_be_sent_fails_and_the_others_go(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = host.worker()
    monkeypatch.setattr(wire, "MAX_FRAME", 10_000)

    jobs = numbered(job("Echo", say="before"), job("Echo", say="x" * 20_000), job("Echo", say="after"))
    host.processes.send(worker, jobs)

    host.until(lambda: len(host.outcomes()) == 3)
    assert "too large" in error(host.outcomes()[2]).message
    assert output(host.outcomes()[3]) == {"heard": "after"}


def test_a_ping_is_answered_while_a_step_runs(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    wait, begun, _ = waiting(tmp_path)
    host.processes.send(worker, numbered(wait))
    host.until(begun.exists)

    host.processes.ping(worker)

    host.until(lambda: host.processes.last_pong(worker) is not None)


def test_a_process_that_cannot_be_started_is_news(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    host.processes.spawn("default")

    assert "/no/such/python" in host.first(StartFailed).reason


def test_deaths_are_seen_without_pidfds_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynflow_mp.executor.child._pidfd", lambda pid: None)
    worker = host.worker()

    host.processes.send(worker, numbered(job("Nothing"), job("Die", how="kill")))

    died = host.first(WorkerDied)
    assert (died.begun, died.finished, died.cause) == (2, 1, "signal(9)")


def test_what_a_dead_worker_started_goes_with_it(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    begun = tmp_path / "begun"
    host.processes.send(worker, numbered(job("StartSleeper", begun=str(begun))))
    sleeper = int(host.until(lambda: begun.exists() and begun.read_text()))

    os.kill(host.processes.pids[worker], signal.SIGKILL)
    host.first(WorkerDied)

    wait_until(lambda: is_gone(sleeper), 2.0)


# -- the supervisor dies ---------------------------------------------------------------------------

HOST_PROGRAM = """
import sys
from pathlib import Path
import zmq
from dynflow_mp.clock import steady
from dynflow_mp.executor.news import WorkerReady
from dynflow_mp.executor.processes import Processes
from dynflow_mp.executor.worker_process import WorkerSettings
from dynflow_mp.model.codec import encode
from dynflow_mp.model.work import StepJob
directory, action, begun, deadline_s = sys.argv[1:]
poller = zmq.Poller()
processes = Processes(Path(directory), WorkerSettings(("worker_actions",), None, 1_000_000), poller)
processes.start()
worker = processes.spawn("default")
while True:
    for news in processes.hear(dict(poller.poll(50))):
        if isinstance(news, WorkerReady):
            data = encode({"begun": begun}, "input")
            processes.send(worker, [(1, StepJob("plan", 1, 1, 1, "worker_actions." + action, data))])
    processes.renew_deadline(steady() + float(deadline_s))
"""


def a_supervisor(
    tmp_path: Path, action: str, begun: Path, deadline_s: float = 30.0
) -> subprocess.Popen[bytes]:
    (tmp_path / "host.py").write_text(HOST_PROGRAM)
    command = [
        sys.executable,
        str(tmp_path / "host.py"),
        str(tmp_path / "w"),
        action,
        str(begun),
        str(deadline_s),
    ]
    environment = os.environ | {"PYTHONPATH": f"{HERE.parents[1]}:{HERE}"}
    return subprocess.Popen(command, env=environment)


def wait_until(condition: Callable[[], Any], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("action", ["BeginOnly", "Spin", "StandStill", "StartSleeper"])
def test_g18_nothing_survives_the_supervisors_kill(tmp_path: Path, action: str) -> None:
    begun = tmp_path / "begun"
    supervisor = a_supervisor(tmp_path, action, begun)
    wait_until(lambda: begun.exists() and begun.read_text(), 15.0)
    family = [child.pid for child in psutil.Process(supervisor.pid).children(recursive=True)]

    supervisor.kill()
    supervisor.wait(5.0)

    assert len(family) == (3 if action == "StartSleeper" else 2)
    wait_until(lambda: all(map(is_gone, family)), 2.0)
    wait_until(lambda: not (tmp_path / "w").exists(), 2.0)


def test_a_supervisor_that_stands_still_loses_its_workers(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    supervisor = a_supervisor(tmp_path, "StartSleeper", begun, deadline_s=0.5)
    wait_until(lambda: begun.exists() and begun.read_text(), 15.0)
    sleeper = int(begun.read_text())

    supervisor.send_signal(signal.SIGSTOP)

    wait_until(lambda: is_gone(sleeper), 5.0)
    supervisor.kill()
    supervisor.wait(5.0)


def test_g10_workers_end_with_the_lease_and_those_hired_then_live_on(host: Host, tmp_path: Path) -> None:
    """A supervisor that turns, but cannot renew its lease: the guardian stays, for the time after."""
    worker = host.worker()
    begun = tmp_path / "begun"
    host.processes.send(worker, numbered(job("StartSleeper", begun=str(begun))))
    sleeper = int(host.until(lambda: begun.exists() and begun.read_text()))
    guardian = host.processes._guard.pid

    host.until_when = steady() + 0.3
    died = host.first(WorkerDied)
    late_s = steady() - host.until_when
    successor = host.worker()
    host.until_when = steady() + 60.0
    host.until(lambda: is_gone(sleeper))

    assert died.cause == "lease_lost"
    assert "its lease" in died.message
    assert 0 <= late_s < 5.0
    assert host.processes._guard.pid == guardian
    host.processes.send(successor, numbered(job("Nothing")))
    assert host.outcome(1).state == "success"


def test_g10_a_worker_that_stands_still_ends_with_the_lease_too(host: Host) -> None:
    worker = host.worker()
    pid = host.processes.pids[worker]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 5.0)

    host.until_when = steady() + 0.2

    assert host.first(WorkerDied).cause == "lease_lost"


def test_a_worker_that_was_killed_before_the_lease_ran_out_was_not_killed_for_it(host: Host) -> None:
    worker = host.worker()
    host.until_when = steady() + 60.0
    host.hear()

    os.kill(host.processes.pids[worker], signal.SIGKILL)

    assert host.first(WorkerDied).cause == "signal(9)"
