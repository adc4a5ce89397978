"""${message}

MariaDB commits every CREATE and ALTER by itself, so a revision that dies half-way runs again from its
beginning: each change first looks whether it has been made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
