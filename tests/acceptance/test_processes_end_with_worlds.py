"""A process that ends with a world in it, and a world that ends its process."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
from watching import alive, wait_until

HERE = Path(__file__).parent


def run_program(tmp_path, body):
    """Run a program against a fresh database; its exit status and what it printed."""
    start = f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import engine_actions
        from dynflow_mp import World
        url = "sqlite:///{tmp_path}/plans.db"
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(start) + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    return done.returncode, done.stdout, done.stderr


def last_words(process, seconds):
    """What a program that is about to end still says on standard error; one that does not end is killed."""
    try:
        return process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


def test_a_world_that_is_not_terminated_ends_with_its_process(tmp_path):
    status, out, err = run_program(
        tmp_path,
        """
        world = World(database_url=url, workers=2)
        print(world.trigger(engine_actions.Noop).finished.result(30).result)
        print(*world.worker_pids.values())
        """,
    )

    result, pids = out.splitlines()
    assert (status, result, err) == (0, "success", "")
    wait_until(lambda: not any(alive(int(pid)) for pid in pids.split()), 5, "the workers' end")


def test_a_world_that_is_not_terminated_leaves_no_record(tmp_path):
    run_program(tmp_path, "world = World(database_url=url)")

    status, out, _ = run_program(
        tmp_path, "w = World(database_url=url)\nprint(len(w.coordinator.find_worlds()))"
    )

    assert (status, out.strip()) == (0, "1")


def test_exit_on_terminate_ends_the_process_and_loses_nothing_that_was_printed(tmp_path):
    status, out, err = run_program(
        tmp_path,
        """
        import time
        world = World(database_url=url, workers=1, exit_on_terminate=True)
        world.before_termination(lambda: print("hook", end=""))
        world.terminate()
        time.sleep(60)
        print("never")
        """,
    )

    assert (status, out, err) == (0, "hook", "")


def test_ctrl_c_in_a_program_with_an_embedded_world_leaves_no_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(HERE)!r})
            import engine_actions
            from dynflow_mp import World
            with World(database_url="sqlite:///{tmp_path}/plans.db", workers=2, drain_grace_s=0.1) as world:
                triggered = world.trigger(engine_actions.Slow, seconds=60)
                print("running", flush=True)
                triggered.finished.result(60)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "running\n"
    family = psutil.Process(process.pid).children(recursive=True)
    time.sleep(0.3)  # the step begins; nothing to wait on from outside

    process.send_signal(2)
    err = last_words(process, 30)

    assert "KeyboardInterrupt" in err
    wait_until(lambda: not any(alive(child.pid) for child in family), 5, "the end of all processes")


def test_a_second_ctrl_c_does_not_wait_for_running_steps(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(HERE)!r})
            import engine_actions
            from dynflow_mp import World
            with World(database_url="sqlite:///{tmp_path}/plans.db", workers=1) as world:
                world.before_termination(lambda: print("ending", flush=True))
                triggered = world.trigger(engine_actions.Held, log="{tmp_path}/log", until="never")
                triggered.finished.result(60)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until((tmp_path / "log").exists, 20, "the step's beginning")

    process.send_signal(2)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(2)
    err = last_words(process, 15)  # running steps would have 30 s

    assert err.count("Traceback") == 2
    assert err.rstrip().endswith("KeyboardInterrupt")
