"""Why a worker ended, in words; what a guardian makes of its lines; what of the environment workers get."""

from __future__ import annotations

import os

import pytest

from dynflow_mp.executor.endings import OomKills, ending_of
from dynflow_mp.executor.guardian import Guardian
from dynflow_mp.executor.worker_process import environment_for_workers


@pytest.mark.parametrize(
    ("exit_code", "facts", "cause", "words"),
    [
        (-9, {}, "signal(9)", "killed with signal 9 (SIGKILL)"),
        (-9, {"asked": True}, "signal(9)", "by its executor"),
        (-9, {"out_of_memory": True}, "out_of_memory", "ran out of memory"),
        (-9, {"out_of_memory": True, "asked": True}, "signal(9)", "by its executor"),
        (-9, {"lease_lost": True}, "lease_lost", "others may have taken its plans over"),
        (-9, {"lease_lost": True, "asked": True}, "signal(9)", "by its executor"),
        (-15, {"lease_lost": True}, "signal(15)", "SIGTERM"),
        (-11, {}, "signal(11)", "crashed in native code, signal 11 (SIGSEGV)"),
        (-40, {}, "signal(40)", "signal 40"),
        (3, {}, "exit(3)", "exit status 3"),
        (0, {}, "exit(0)", "sys.exit or os._exit"),
        (0, {"asked": True}, "exit(0)", "as it was asked to"),
        (5, {"reason": "a step closed descriptors"}, "replaced", "to be replaced: a step closed descriptors"),
        (None, {}, "unknown", "could not be ended"),
    ],
)
def test_an_exit_code_becomes_a_cause_and_a_sentence(exit_code, facts, cause, words):
    ending = ending_of(exit_code, **facts)

    assert ending.cause == cause
    assert words in ending.text


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("4:memory:/app", "memory/app/memory.oom_control", "under_oom 0\noom_kill {}\n"),
        ("0::/app", "app/memory.events", "oom 5\noom_kill {}\noom_group_kill 0\n"),
    ],
)
def test_a_kill_for_memory_is_seen_once(tmp_path, line, file, text):
    (tmp_path / "cgroup").write_text(line + "\n")
    counter = tmp_path / file
    counter.parent.mkdir(parents=True)
    counter.write_text(text.format(2))
    kills = OomKills(tmp_path / "cgroup", tmp_path)

    counter.write_text(text.format(3))

    assert [kills.happened(), kills.happened()] == [True, False]


def test_without_control_groups_nothing_is_known_of_memory(tmp_path):
    assert OomKills(tmp_path / "missing", tmp_path).happened() is False


def test_a_guardian_takes_lines_in_whatever_pieces_they_come():
    guardian = Guardian()

    for piece in (b"add 12\nadd 1", b"3\nadd 14\ndr", b"op 12\nuntil 102.5", b"\nnonsense\nby"):
        guardian.hear(piece)

    assert guardian.groups == {13, 14}
    assert guardian.deadline == 102.5
    assert guardian.dismissed is False
    guardian.hear(b"e\n")
    assert guardian.dismissed is True


def test_g10_a_guardian_kills_when_the_deadline_has_passed_once_for_each_deadline(monkeypatch):
    killed = []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append(group))
    guardian = Guardian()
    guardian.hear(b"add 12\nuntil 102.5\n")

    guardian.look_at(102.4)
    early = list(killed)
    guardian.look_at(102.5)
    guardian.hear(b"drop 12\nadd 13\n")
    guardian.look_at(200.0)
    before_renewal = list(killed)
    guardian.hear(b"until 300\n")
    guardian.look_at(300.0)

    assert (early, before_renewal, killed) == ([], [12], [12, 13])


def test_workers_get_the_environment_without_service_managers_and_settings():
    theirs = environment_for_workers(
        {
            "HOME": "/h",
            "NOTIFY_SOCKET": "s",
            "WATCHDOG_PID": "1",
            "DYNFLOW_WORKERS": "2",
            "PYTHONPATH": "/mine",
        }
    )

    assert set(theirs) == {"HOME", "PYTHONPATH"}
    assert theirs["PYTHONPATH"].split(os.pathsep)[-1] == "/mine"
