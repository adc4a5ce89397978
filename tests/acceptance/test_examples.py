"""The programs under examples/, as users start them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from databases import MYSQL, POSTGRESQL, SQLITE, fresh_database, require

from examples.supervisor_process import SupervisorProcess

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return start(ROOT, "-m", *arguments)


def start(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=90, check=False)


def a_tree(root: Path) -> Path:
    """Two packages, a file beside them, one source that cannot be parsed, and a link that leads in a circle."""
    for package in ("alpha", "beta"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text("def f():\n    pass\n\n\nclass A:\n    pass\n")
    (root / "beta" / "broken.py").write_text("def :\n")
    (root / "readme.txt").write_text("one line")
    (root / "alpha" / "again").symlink_to(root)
    return root


def test_the_catalogue_reports_every_file_of_a_tree(tmp_path: Path) -> None:
    tree, report = a_tree(tmp_path / "tree"), tmp_path / "report.json"

    ended = run("examples.catalogue", str(tree), "--report", str(report))

    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r"4 files catalogued in \d+\.\d s on 2 workers", ended.stdout.splitlines()[-1])
    told = json.loads(report.read_text())
    assert set(told["packages"]) == {"alpha", "beta", "(files in tree)"}
    assert told["totals"] | {"size": 0, "compressed": 0} == {
        "files": 4,
        "size": 0,
        "compressed": 0,
        "lines": 14,
        "functions": 2,
        "classes": 2,
        "findings": 1,
    }


def test_a_client_a_supervisor_and_a_watcher_work_side_by_side() -> None:
    ended = run("examples.remote_executor")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("success, sequence(concurrence(") == 3
    assert "watch │ plan" in ended.stdout
    assert "server │ drained, exit status 0" in ended.stdout


def test_the_first_workflow_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    shop, embedded, client = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "shop.py").write_text(shop)
    (tmp_path / "order.py").write_text(embedded)
    (tmp_path / "client.py").write_text(client)

    ended = start(tmp_path, "order.py")
    with SupervisorProcess("sqlite:///shop.db", "shop", directory=tmp_path):
        asked = start(tmp_path, "client.py")

    assert ended.stdout == "success sequence(concurrence(3, 5, 7), 9, 10) {'due': '15.00'}\n", ended.stderr
    assert asked.stdout == "success\n", asked.stderr


def test_hosts_are_provisioned_past_a_failure_and_no_step_runs_twice() -> None:
    ended = run("examples.orchestrate")

    assert ended.returncode == 0, ended.stderr
    paused, failed, _, resumed, effects, *inventory = ended.stdout.splitlines()
    assert "paused, error: 1 error" in paused
    assert "PrepareDisk: there is no image postgres.img for db-1" in failed
    assert "stopped, success: 20 success; 100% done" in resumed
    assert effects.endswith("11 steps were done before it, 0 of them again")
    assert [line.split()[0] for line in inventory] == ["web-1", "web-2", "db-1"]


def test_suspended_steps_are_woken_from_outside() -> None:
    ended = run("examples.orchestrate_evented", "--machines", "8", "--patience", "2")

    assert ended.returncode == 0, ended.stderr
    waited, *_, refused, _, resumed, machines = ended.stdout.splitlines()
    assert "up to 8 steps waited at once, on 2 workers" in waited
    assert "machine 2 was refused: the limit is reached" in refused
    assert "stopped, success: 9 success" in resumed
    again = re.search(r"8 machines; (\d+) ordered more than once", machines)
    assert again
    assert int(again[1]) >= 2  # the one that was refused and the one that was forgotten


@pytest.mark.parametrize(
    "kind",
    [SQLITE, *(pytest.param(kind, marks=pytest.mark.chaos) for kind in (POSTGRESQL, MYSQL))],
)
def test_one_database_is_all_that_executors_and_clients_share(kind: str, tmp_path: Path) -> None:
    require(kind)
    with fresh_database(kind, tmp_path) as url:
        ended = run("examples.single_database", "--database", url)

    assert ended.returncode == 0, ended.stderr
    stopped = re.findall(r"(\d+) × stopped, success, written by", ended.stdout)
    assert sum(map(int, stopped)) == 12
    assert "A │ killed while it works" in ended.stdout


def test_singletons_and_unique_keys_show_one_at_a_time() -> None:
    ended = run("examples.singletons")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "the second backup was refused: Action Backup is already active",
        "the first ended with success",
        "now another may run: success",
        "locked: False",
        "a second invoice was refused: invoice-7 is held by the first plan: True",
        "asked to return it, the same plan comes back: True",
        "both get I-7",
        "sent: final",
        "the draft was replaced",
    ]


def test_plans_start_later() -> None:
    ended = run("examples.future_execution")

    assert ended.returncode == 0, ended.stderr
    waiting, count, now, evening, *about, urgent, why, held_back = ended.stdout.splitlines()
    assert "scheduled, pending: delay" in waiting
    assert count == "3 plans wait for their time"
    assert all(
        line.endswith("stopped, success: delay ─▶ start execution ─▶ finish execution")
        for line in (now, evening, held_back)
    )
    assert "planned by a worker" in about[0]
    assert "3 regions: west was added after it was scheduled" in about[1]
    assert "stopped, error: delay ─▶ timeout" in urgent
    assert "could not be started before set time" in why


def test_plans_come_after_others() -> None:
    ended = run("examples.chaining")

    assert ended.returncode == 0, ended.stderr
    good, broken = (
        [line for line in ended.stdout.splitlines() if line.strip().startswith(name)]
        for name in ("good", "broken")
    )
    assert sum("stopped, success" in line for line in good) == 4
    assert re.fullmatch(r"good │ done: Build, (Check, Pack|Pack, Check), Publish", good[-1].strip())
    assert sum("stopped, error" in line for line in broken) == 4
    assert sum("that this one comes after failed" in line for line in broken) == 2 + 1
    assert broken[-1].strip() == "broken │ done: nothing"


def test_builds_elsewhere_are_followed_cancelled_and_given_up() -> None:
    ended = run("examples.polling")

    assert ended.returncode == 0, ended.stderr
    assert "simple, shaky │ stopped, success: shaky.tar, simple.tar" in ended.stdout
    assert "shaky: 4 looks, now built" in ended.stdout
    assert "unwanted │ stopped, success: nothing of unwanted" in ended.stdout
    assert "endless │ paused, error: Timeout exceeded." in ended.stdout


def test_plans_are_halted_whatever_they_do() -> None:
    ended = run("examples.halt")

    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line for line in lines if ": stopped, " in line] == [
        "Stubborn: stopped, error",
        "WaitForWord: stopped, pending",
        "Fail: stopped, error",
    ]
    assert "    WaitForWord is suspended" in lines
    assert "    Afterwards is pending" in lines
    assert "workers replaced: 1 of 2" in lines
    assert "locks held: 0" in lines
    assert sum("PlanStopped" in line for line in lines) == 2


def test_what_fails_is_tried_again_skipped_by_itself_or_skipped_by_hand() -> None:
    ended = run("examples.retries")

    assert ended.returncode == 0, ended.stderr
    told = ended.stdout
    assert "tried again: stopped, success; 100% done" in told
    assert "attempt 3: weather: answered at the 3. try" in told
    assert "skipped by itself: stopped, warning" in told
    assert "and left a grey square" in told
    assert "Fetch failed 4 times: ConnectionError" in told
    assert "without Fetch (step 3), Publish (step 7)" in told


def test_sub_plans_run_a_few_at_a_time_and_a_failed_one_is_mended_alone() -> None:
    ended = run("examples.sub_plans", "--pages", "9", "--at-once", "2")

    assert ended.returncode == 0, ended.stderr
    *_, first, failed, mended, together = ended.stdout.splitlines()
    assert first == "at first: the book is paused (error); pages: 9 total, 8 success, 1 failed"
    assert failed == "page 2 failed: there is no ink for page 2"
    assert mended == "mended: the book is stopped (success); pages: 9 total, 9 success, 0 failed"
    found = re.fullmatch(r"9 pages, never more than (\d) at once; bound: yes", together)
    assert found
    assert int(found[1]) <= 2
