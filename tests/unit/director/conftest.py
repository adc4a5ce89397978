import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def driver():
    from plans_for_tests import Driver

    return Driver()
