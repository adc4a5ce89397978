"""Writing a death certificate: what the operating system, the worker's page, its output and its stacks tell."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from dynflow_mp.clock import now_us
from dynflow_mp.executor.endings import crashed
from dynflow_mp.executor.page import Use
from dynflow_mp.executor.stacks import crashed_stack, fatal_words, main_stack
from dynflow_mp.executor.worker_process import WorkerProcess
from dynflow_mp.model.certificates import Certificate, last_lines

_MICRO = 1_000_000


def of_a_dead_worker(worker: WorkerProcess, exit_code: int | None, cause: str, sentence: str) -> Certificate:
    """About the job that a buried worker had begun last."""
    use, usage = worker.remains.use, worker.child.usage
    printed = worker.output.printed(worker.remains.begun)
    return Certificate(
        cause,
        sentence,
        died_at := now_us(),
        began_at=_began_at(use, died_at),
        worker=worker.id,
        pid=worker.child.pid,
        exit_code=exit_code if exit_code is not None and exit_code >= 0 else None,
        signal=-exit_code if exit_code is not None and exit_code < 0 else None,
        peak_memory=_peak(worker, use),
        cpu_time=None if usage is None else round(max(0.0, usage.cpu_s - use.cpu_s), 3),
        stack=_last_stack(worker, exit_code),
        output=last_lines(printed.text),
        output_dropped=printed.dropped,
    )


def of_a_living_worker(worker: WorkerProcess, number: int, cause: str, sentence: str) -> Certificate:
    """About a job that was ended without its worker's end; of one that is not its last less is known."""
    worker.look_at_memory()
    bare = Certificate(
        cause,
        sentence,
        died_at := now_us(),
        worker=worker.id,
        pid=worker.child.pid,
        peak_memory=worker.peak_seen or None,
    )
    if worker.page.begun != number:
        return bare
    use = worker.page.use
    cpu_s = _cpu_seconds(worker.child.pid)
    worker.output.take()
    printed = worker.output.printed(number)
    return bare._replace(
        began_at=_began_at(use, died_at),
        cpu_time=None if cpu_s is None else round(max(0.0, cpu_s - use.cpu_s), 3),
        output=last_lines(printed.text),
        output_dropped=printed.dropped,
    )


def _began_at(use: Use, died_at: int) -> int | None:
    """The worker notes it on the steady clock, which all processes of a machine share."""
    if not use.begun_at:
        return None
    return died_at - int(max(0.0, monotonic() - use.begun_at) * _MICRO)


def _peak(worker: WorkerProcess, use: Use) -> int | None:
    """What it saw itself, what was seen of it, and what the system says if that is its own.

    The system's figure begins with what the supervisor had when it started the worker: only a higher one tells anything.
    """
    seen = max(worker.peak_seen, use.peak)
    usage = worker.child.usage
    if usage is not None and usage.peak > worker.peak_inherited:
        seen = max(seen, usage.peak)
    return seen or None


def _last_stack(worker: WorkerProcess, exit_code: int | None) -> tuple[str, ...]:
    if exit_code is not None and crashed(exit_code) and fatal_words(worker.dump):
        return crashed_stack(worker.dump)
    return main_stack(worker.dump) if worker.asked_to_end else ()


def _cpu_seconds(pid: int) -> float | None:
    """As the worker counts: its threads, and the children it waited for (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
