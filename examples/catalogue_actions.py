"""Cataloguing directory trees: what runs in the workers, and how it is planned.

    Catalogue ─┬─ sequence ─┬─ concurrence(CatalogueFile, CatalogueFile, …)
               │            └─ PackageSummary          what the files of one package come to
               ├─ sequence …
               └─ finalize                             all summaries, one JSON report

Workers import this module, so it imports only what the steps need.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dynflow_mp import Action

SKIPPED = frozenset(
    {"__pycache__", "site-packages", "dist-packages", ".git", ".hg", ".svn"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
"""Directories not entered: caches, and packages inside a standard library, which are not part of it."""
MOST_FILES = 2_000
"""Files one summary takes in: their outputs are its input, which must stay below ``max_payload``."""
LARGEST = 5
MOST_FINDINGS = 20
"""Findings a summary spells out; all are counted."""
TOTALS = ("files", "size", "compressed", "lines", "functions", "classes", "findings")


class CatalogueFile(Action):
    """One file: size, lines, SHA-256, compressed size; of Python sources functions and classes.

    What cannot be read or parsed is a finding in the output, not an error.
    """

    def run(self) -> None:
        path = os.fsdecode(self.input["path"])
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            self.output.update(path=shown(path), finding=f"unreadable: {error.strerror}")
            return
        self.output.update(path=shown(path), **measures(data))
        if path.endswith(".py"):
            self.output.update(definitions(data))


class PackageSummary(Action):
    """What the files of one package (or of one part of a very large one) come to."""

    def run(self) -> None:
        files = self.input["files"]
        found = [file for file in files if "finding" in file]
        self.output.update(
            package=self.input["package"],
            totals={
                **{name: sum(file.get(name, 0) for file in files) for name in TOTALS},
                "files": len(files),
            },
            largest=largest({"path": file["path"], "size": file.get("size", 0)} for file in files),
            findings=[{"path": file["path"], "finding": file["finding"]} for file in found[:MOST_FINDINGS]],
        )
        self.output["totals"]["findings"] = len(found)


class Catalogue(Action):
    """Everything below ``roots``, by top-level package, as one JSON report at ``report``."""

    def plan(self, roots: list[str], report: str) -> None:
        summaries = []
        with self.concurrence():
            for package, paths in packages(roots):
                with self.sequence():
                    with self.concurrence():
                        files = [self.plan_action(CatalogueFile, path=path) for path in paths]
                    outputs = [file.output for file in files]
                    summaries.append(self.plan_action(PackageSummary, package=package, files=outputs))
        self.plan_self(
            roots=[shown(root) for root in roots],
            report=report,
            summaries=[summary.output for summary in summaries],
        )

    def finalize(self) -> None:
        merged = merge(self.input["summaries"])
        write_json(self.input["report"], {"roots": self.input["roots"], **merged})
        self.output.update(totals=merged["totals"], largest=merged["largest"])


# -- one file ------------------------------------------------------------------------------------


def measures(data: bytes) -> dict[str, Any]:
    return {
        "size": len(data),
        "compressed": len(zlib.compress(data)),
        "lines": data.count(b"\n") + (not data.endswith(b"\n") if data else 0),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def definitions(source: bytes) -> dict[str, Any]:
    """How many functions and classes the source defines, or why it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"finding": f"unparsable: {type(error).__name__}: {str(error)[:200]}"}
    return {
        "functions": sum(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in nodes),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
    }


# -- many files ----------------------------------------------------------------------------------


def merge(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals by package and of all; a package in several parts becomes one again."""
    totals = dict.fromkeys(TOTALS, 0)
    by_package: dict[str, dict[str, int]] = {}
    for summary in summaries:
        package = by_package.setdefault(summary["package"], dict.fromkeys(TOTALS, 0))
        for name, value in summary["totals"].items():
            package[name] += value
            totals[name] += value
    return {
        "totals": totals,
        "largest": largest(file for summary in summaries for file in summary["largest"]),
        "findings": [finding for summary in summaries for finding in summary["findings"]],
        "packages": by_package,
    }


def largest(files: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(files, key=lambda file: (-file["size"], file["path"]))[:LARGEST]


def write_json(path: str, content: dict[str, Any]) -> None:
    """Write it whole or not at all: finalize may be run again."""
    unfinished = Path(f"{path}.part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


# -- the walk ------------------------------------------------------------------------------------


def packages(roots: list[str]) -> Iterator[tuple[str, list[str | bytes]]]:
    """Files by top-level package, in a fixed order, in parts of at most ``MOST_FILES``."""
    absolute = [os.path.realpath(root) for root in roots]
    for root in dict.fromkeys(absolute):
        by_package: dict[str, list[str | bytes]] = {}
        for path in files_below(root, frozenset(absolute)):
            by_package.setdefault(package_of(root, path), []).append(storable(path))
        for package, paths in by_package.items():
            for start in range(0, len(paths), MOST_FILES):
                yield package, paths[start : start + MOST_FILES]


def files_below(root: str, roots: frozenset[str]) -> Iterator[str]:
    """Regular files below ``root``, sorted; no links are followed, another root is left to itself."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if name not in SKIPPED and os.path.join(directory, name) not in roots
        )
        for name in sorted(files):
            path = os.path.join(directory, name)
            if is_regular(path) and not name.endswith(".pyc"):
                yield path


def is_regular(path: str) -> bool:
    """Whether it is a plain file: reading a pipe or a device might never end."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def package_of(root: str, path: str) -> str:
    """The first directory below the root; what lies directly in the root is one group."""
    first, separator, _ = os.path.relpath(path, root).partition(os.sep)
    return shown(first) if separator else f"(files in {shown(os.path.basename(root))})"


def storable(path: str) -> str | bytes:
    """The path itself, or as bytes where a file name is no valid text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def shown(path: str) -> str:
    """The path as text that can be printed and stored."""
    return os.fsencode(path).decode("utf-8", "replace")
