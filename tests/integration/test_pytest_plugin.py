"""What users of pytest get: fixtures by themselves, and the guide's own example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "testing.md"
_NAMED_BLOCK = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)


def pytest_in(directory, *arguments):
    """A pytest of its own, as a user would start it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_guides_example_passes_as_it_stands(tmp_path):
    blocks = dict(_NAMED_BLOCK.findall(GUIDE.read_text(encoding="utf-8")))
    assert set(blocks) == {"shop.py", "test_shop.py"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    ended = pytest_in(tmp_path, "-q")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{blocks['test_shop.py'].count('def test_')} passed" in ended.stdout


def test_the_fixtures_are_found_and_share_a_clock(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from dynflow_mp import Action\n"
        "class Mine(Action):\n"
        "    def run(self):\n"
        "        self.output['done'] = True\n"
        "def test_in_thread(dynflow_world, dynflow_clock):\n"
        "    assert dynflow_world.run(Mine).entry_action.output == {'done': True}\n"
        "    assert dynflow_world.clock is dynflow_clock\n"
        "def test_each_has_its_own_database(dynflow_world):\n"
        "    assert dynflow_world.persistence.count_execution_plans() == 0\n"
        "def test_on_a_worker(dynflow_worker_world):\n"
        "    finished = dynflow_worker_world.trigger(Mine).finished\n"
        "    assert finished.result(60).entry_action.output == {'done': True}\n",
        encoding="utf-8",
    )

    ended = pytest_in(tmp_path, "-q")

    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_a_failing_test_ends_its_world_too(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "worlds = []\n"
        "def test_fails(dynflow_world):\n"
        "    worlds.append(dynflow_world)\n"
        "    raise RuntimeError('on purpose')\n"
        "def test_looks():\n"
        "    assert worlds[0].terminated.is_set()\n",
        encoding="utf-8",
    )

    ended = pytest_in(tmp_path, "-q")

    assert "1 failed, 1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_tests_that_use_nothing_of_it_load_nothing(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert 'dynflow_mp' in loaded\n"
        "    assert not loaded & {'sqlalchemy', 'zmq', 'msgpack', 'psutil', 'alembic', 'rich'}\n",
        encoding="utf-8",
    )

    ended = pytest_in(tmp_path, "-q")

    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
