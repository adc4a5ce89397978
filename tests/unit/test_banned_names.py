"""Names that the engine's code may not use, and where the few exceptions are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynflow_mp

PACKAGE = Path(dynflow_mp.__file__).parent

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "yaml",
    "code",
}
METHODS = {"recv_pyobj", "send_pyobj", "recv_serialized", "find_class"}
CALLS = {"eval", "exec", "compile", "__import__"}
OF_MODULES = {
    ("os", "system"),
    ("os", "popen"),
    ("os", "fork"),
    ("os", "forkpty"),
    ("pty", "fork"),
    ("subprocess", "getoutput"),
    ("msgpack", "load"),
    ("numpy", "load"),
}
IMPORTERS = {
    "__init__.py": "names of our own, from a table",
    "actions/named_rules.py": "middleware, named by the settings",
    "cli/groups.py": "our own commands, from a table",
    "cli/modules.py": "the modules of --app and of what is triggered, named by who types",
    "console/__init__.py": "names of our own, from a table",
    "executor/boot.py": "the modules of --app, in a worker",
    "testing/__init__.py": "names of our own, from a table",
}
"""Who may import a module by a name that is a value. No such name comes from a plan or a wire."""
TOLD_THE_TIME = (
    "coordinator/",
    "connectors/",
    "director/",
    "dispatchers/",
    "maintenance/",
    "model/",
    "persistence/",
)
"""Rooms that may not ask what time it is: they are told it, or ask ``clock.now_us``, which tests can set."""
WALL_CLOCKS = {"connectors/endpoints.py": "compares with a file's time"}


def files() -> list[str]:
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def faults(name: str, source: str) -> Iterator[str]:
    """What of the source is banned, each as a word."""
    names: dict[str, str] = {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
                if alias.name.partition(".")[0] in MODULES:
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] in MODULES:
                yield module
            for alias in node.names:
                names[alias.asname or alias.name] = f"{module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if node.attr in METHODS:
                yield node.attr
            owner = names.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
            yield from _fault_of(name, owner, node.attr)
        elif isinstance(node, ast.Name):
            if node.id in CALLS and isinstance(node.ctx, ast.Load):
                yield node.id
            module, _, attribute = names.get(node.id, "").rpartition(".")
            yield from _fault_of(name, module, attribute)
        elif isinstance(node, ast.keyword) and node.arg == "shell":
            yield "shell="


def _fault_of(name: str, module: str, attribute: str) -> Iterator[str]:
    if (module, attribute) in OF_MODULES:
        yield f"{module}.{attribute}"
    if (module, attribute) == ("importlib", "import_module") and name not in IMPORTERS:
        yield "importlib.import_module"
    asks = module == "time" and attribute in ("time", "time_ns")
    if asks and name.startswith(TOLD_THE_TIME) and name not in WALL_CLOCKS:
        yield f"time.{attribute}"


@pytest.mark.parametrize("name", files())
def test_g37_no_file_of_the_engine_uses_a_banned_name(name: str) -> None:
    assert list(faults(name, (PACKAGE / name).read_text())) == []


@pytest.mark.parametrize("name", [*IMPORTERS, *WALL_CLOCKS])
def test_every_exception_is_needed(name: str) -> None:
    assert list(faults("director/another.py", (PACKAGE / name).read_text()))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "from dill import dumps",
        "import xml, marshal",
        "import shelve.thing",
        "def f():\n    import yaml",
        "socket.recv_pyobj()",
        "self.socket.send_pyobj(1)",
        "eval('1')",
        "run = exec",
        "__import__('os')",
        "import os\nos.system('true')",
        "import os as o\no.fork()",
        "from os import fork\nfork()",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "from importlib import import_module\nimport_module(x)",
        "import importlib\nimportlib.import_module(x)",
        "import time\ntime.time()",
        "from time import time as now\nnow()",
    ],
)
def test_the_check_finds_what_it_is_for(source: str) -> None:
    assert list(faults("director/director.py", source))
