"""The table of behaviours names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_every_test_of_the_table_exists():
    rows = re.findall(r"`([\w/]+\.py)::(\w+)`", (TESTS / "README.md").read_text())

    missing = [f"{path}::{name}" for path, name in rows if f"def {name}(" not in (TESTS / path).read_text()]

    assert len(rows) > 100
    assert missing == []


def test_every_numbered_behaviour_of_a_test_s_name_is_in_the_table():
    table = (TESTS / "README.md").read_text()
    named = {
        number
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_(?:b\d{3}_)+)", path.read_text())
        for number in re.findall(r"b(\d{3})", name)
    }

    assert [number for number in sorted(named) if not re.search(rf"\bB{number}\b", table)] == []
