"""A virtual environment per rival, made on demand, and programs run in it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import venv
from pathlib import Path

from bench.rivals import TOOLS, Rival

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".bench" / "venvs"
INSTALL_S, RUN_S, CONNECT_S = 600.0, 900.0, 5.0


def why_not(name: str) -> str | None:
    """Why this rival cannot run here, in one line; None once it is installed and its servers answer."""
    rival = TOOLS[name]
    for server, port in rival.servers:
        if not answers(port):
            return f"{server} does not answer on port {port}"
    try:
        install(rival)
    except (subprocess.SubprocessError, OSError) as error:
        return f"{', '.join(rival.requirements)} could not be installed: {reason(error)}"
    return None


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_S):
            return True
    except OSError:
        return False


def install(rival: Rival) -> None:
    """Make the environment, unless it was made for these requirements by this Python before."""
    directory = PLACE / rival.environment
    stamp, wanted = directory / "stamp", fingerprint(rival)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    venv.create(directory, clear=True, with_pip=True)
    command = [str(python_of(rival)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*command, "--no-input", *rival.requirements],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=INSTALL_S,
        check=True,
    )
    stamp.write_text(wanted)


def fingerprint(rival: Rival) -> str:
    facts = "\n".join([sys.version, sys.executable, *rival.requirements])
    return hashlib.sha256(facts.encode()).hexdigest()


def python_of(rival: Rival) -> Path:
    return PLACE / rival.environment / "bin" / "python"


def reason(error: Exception) -> str:
    """The last line that pip said, or the error."""
    said = getattr(error, "stderr", None) or str(error)
    return str(said).strip().splitlines()[-1] if str(said).strip() else type(error).__name__


def run(name: str, rival: Rival, workload: str, url: str, size: int, workers: int) -> float:
    """One run; raises RuntimeError with what the rival said when it comes to nothing."""
    command = [str(python_of(rival)), "-m", f"bench.rivals.{rival.program}", workload]
    command += [f"--database={url}", f"--size={size}", f"--workers={workers}", *rival.options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["value"])
