"""The browser that pages are looked at with: the system's Chromium, driven by Playwright.

Where it is comes from ``DYNFLOW_TEST_CHROMIUM`` or is its usual place on Debian. Without one the tests that need it are left out
and named in the summary; with ``CI`` set it is a failure.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("DYNFLOW_TEST_CHROMIUM", "/usr/bin/chromium")


@cache
def missing() -> str | None:
    """Why there is no browser here; None where there is one."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    return None if Path(CHROMIUM).exists() else f"there is no {CHROMIUM} (Debian: apt-get install chromium)"


def require() -> None:
    """Skip the test when there is no browser – in CI, fail it."""
    reason = missing()
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"browser: {reason}", pytrace=False)
    pytest.skip(f"browser: {reason}")
