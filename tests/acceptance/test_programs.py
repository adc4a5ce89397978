"""Programs as people write them: where their actions may stand, and what is said where they may not."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
from dynflow_mp import Action, World

class Hello(Action):
    def run(self):
        self.output["said"] = f"hello {self.input['name']}"

if __name__ == "__main__":
    with World(database_url="sqlite:///plans.db", workers=1) as world:
        plan = world.trigger(Hello, name="you").finished.result(30)
        print(plan.result, plan.entry_action.output["said"], plan.steps[2].action_class_name)
"""


def python(directory, *arguments, text=None):
    return subprocess.run(
        [sys.executable, *arguments], cwd=directory, input=text, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("file", "arguments", "name"),
    [
        ("shop.py", ["shop.py"], "shop.Hello"),
        ("my-shop.py", ["my-shop.py"], "my-shop.Hello"),
        ("shop/desk.py", ["-m", "shop.desk"], "shop.desk.Hello"),
        ("shop/desk.py", ["shop/desk.py"], "desk.Hello"),
    ],
)
def test_actions_may_stand_in_the_program_that_runs_them(tmp_path, file, arguments, name):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(PROGRAM)

    done = python(tmp_path, *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"success hello you {name}\n"


def test_a_program_without_a_guard_is_told_to_have_one_and_starts_nothing_twice(tmp_path):
    (tmp_path / "shop.py").write_text(PROGRAM.replace('if __name__ == "__main__":', "if True:"))

    done = python(tmp_path, "shop.py")

    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert "WorldInWorker" in done.stderr
    assert "if __name__ == '__main__'" in done.stderr


@pytest.mark.parametrize(("arguments", "text"), [(["-c", PROGRAM], None), (["-"], PROGRAM)])
def test_actions_defined_interactively_are_refused_before_anything_is_stored(tmp_path, arguments, text):
    done = python(tmp_path, *arguments, text=text)

    assert done.returncode == 1
    assert "PlanningError: Hello was defined interactively" in done.stderr
    assert python(tmp_path, "-c", COUNT).stdout == "0\n"


COUNT = """
from dynflow_mp import World
with World(database_url="sqlite:///plans.db") as world:
    print(world.persistence.count_execution_plans())
"""


def test_an_action_defined_in_a_function_is_an_error_that_says_so(tmp_path):
    program = textwrap.dedent(
        """
        from dynflow_mp import Action, World

        def make():
            class Hidden(Action):
                def run(self): pass
            return Hidden

        if __name__ == "__main__":
            with World(database_url="sqlite:///plans.db", workers=1) as world:
                print(world.trigger(make()).finished.result(30).errors[0])
        """
    )
    (tmp_path / "shop.py").write_text(program)

    done = python(tmp_path, "shop.py")

    assert "shop.make.<locals>.Hidden" in done.stdout
    assert "it was defined inside a function" in done.stdout
