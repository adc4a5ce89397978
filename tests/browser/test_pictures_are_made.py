"""The script that makes the documents' pictures runs, so that they can be made anew at any time."""

import os
import subprocess
import sys
from pathlib import Path

import browsers
import pytest

ROOT = Path(__file__).parent.parent.parent
LONGEST_S = 240


@pytest.mark.chaos
@pytest.mark.timeout(LONGEST_S + 60)
def test_pictures_are_made_from_a_real_run(tmp_path):
    browsers.require()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}",
        "CHROMIUM": browsers.CHROMIUM,
    }

    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "pictures.py", tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )

    assert made.returncode == 0, made.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    assert all(path.stat().st_size > 2_000 for path in tmp_path.iterdir())
