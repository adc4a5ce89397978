"""The console costs nothing to whoever does not use it."""

import subprocess
import sys

LIBRARIES = (
    "{'starlette', 'fastapi', 'jinja2', 'uvicorn', 'sse_starlette', 'prometheus_client', 'pydantic', 'anyio'}"
)


def loaded(program):
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(sorted({LIBRARIES} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def test_importing_the_engine_loads_nothing_of_the_console():
    assert (
        loaded("import dynflow_mp\nfrom dynflow_mp import World, Action\nimport dynflow_mp.console") == "[]"
    )


def test_what_is_not_installed_is_named_with_what_to_do():
    program = (
        "import sys\nsys.modules['starlette'] = None\n"
        "from dynflow_mp.errors import ConfigError\n"
        "import dynflow_mp.console\n"
        "try:\n    dynflow_mp.console.create_app\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout

    assert told.strip() == (
        'the console needs starlette, which is not installed: pip install "dynflow_mp[console]"'
    )
