"""What a program shows on a terminal, as a picture: run on a pseudo terminal, its last screen drawn by rich."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from io import StringIO
from time import monotonic

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

_END_S = 10.0
_FONT = re.compile(r"\s*@font-face \{[^}]*\}")
"""Rich would have a font fetched from elsewhere; any monospaced one will do."""
_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


def screen_of(argv: Sequence[str], columns: int, lines: int, seconds: float) -> str:
    """The screen of a program when it has ended, or after so many seconds; colours stay in it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines)}
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        shown = _read(ours, monotonic() + seconds)
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(ours)
    return _last_screen(shown)


def svg_of(text: str, columns: int, title: str) -> str:
    """A terminal's text as a picture."""
    console = Console(
        record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in text.splitlines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id=re.sub(r"[^a-z]+", "-", title.lower()))
    return _FONT.sub("", svg)


def _read(terminal: int, deadline: float) -> str:
    """What comes until the program ends, or it is time."""
    parts: list[bytes] = []
    while (left_s := deadline - monotonic()) > 0:
        if not select.select([terminal], [], [], left_s)[0]:
            break
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # on Linux, how the other side's end shows
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def _last_screen(output: str) -> str:
    """Of what was drawn over and over in the same place, the last; rich goes up and erases, and nothing else."""
    lines, row = [""], 0
    at = 0
    while at < len(output):
        control = _CONTROL.match(output, at)
        if control is not None:
            number, what = control[1], control[2]
            if what == "A":
                row = max(0, row - int(number or 1))
            elif what == "K":
                lines[row] = ""
            elif what == "m":
                lines[row] += control[0]
            at = control.end()
            continue
        char = output[at]
        if char == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif char != "\r":
            lines[row] += char
        at += 1
    return "\n".join(lines).rstrip()
