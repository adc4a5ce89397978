"""``dynflow-mp keys``: fixed CURVE keys, for those who do not let the database alone say who takes part.

generate FILE   a new secret key, in a file that only this user may read
show FILE       its public key, for the others' curve_trusted_keys_file
"""

from __future__ import annotations

from pathlib import Path

import click

from dynflow_mp.cli.groups import HelpfulGroup
from dynflow_mp.cli.options import prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.connectors.keys import KeyPair

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=HelpfulGroup)
def keys() -> None:
    """Keys of worlds that talk over TCP: generate, show. Without them each world makes its own as it starts."""


@keys.command()
@_FILE
@prints
def generate(file: Path, terminal: Terminal) -> None:
    """Make a secret key and keep it in FILE (0600, in a directory 0700); print its public key.

    FILE is for a world's curve_key_file, the public key for the curve_trusted_keys_file of all others.
    """
    pair = KeyPair.new()
    pair.write(file)
    _tell(pair.public, terminal)


@keys.command()
@_FILE
@prints
def show(file: Path, terminal: Terminal) -> None:
    """Print the public key of the secret key in FILE, once FILE is found to be well kept."""
    _tell(KeyPair.from_file(file).public, terminal)


def _tell(public: str, terminal: Terminal) -> None:
    if terminal.as_json:
        terminal.json({"public_key": public})
    terminal.line(public)
