"""``dynflow-mp supervisor``: the program ``python -m dynflow_mp.supervisor``, with its options and exit statuses."""

from __future__ import annotations

from typing import Any

import click

from dynflow_mp.cli.modules import find_here
from dynflow_mp.supervisor.__main__ import prepare
from dynflow_mp.supervisor.options import supervise
from dynflow_mp.supervisor.streams import fill_standard_descriptors


def _begin(**options: Any) -> Any:
    prepare()
    fill_standard_descriptors()
    find_here()  # for its workers, too: they get the path it has
    return _supervise(**options)


_supervise: Any = supervise.callback

supervisor = click.Command(
    "supervisor",
    callback=_begin,
    params=supervise.params,
    help=supervise.help,
    epilog=supervise.epilog,
    context_settings=dict(supervise.context_settings),
)
