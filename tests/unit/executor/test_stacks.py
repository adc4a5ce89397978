"""What faulthandler wrote, read."""

import os

from dynflow_mp.executor import stacks

CRASH = """Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "control_lane.py", line 77 in _run

Current thread 0x00007f02 (most recent call first):
  File "native.py", line 12 in call
  File "shop.py", line 5 in run

Thread 0x00007f03 (most recent call first):
  File "shop.py", line 90 in main

Extension modules: zmq.backend.cython._zmq (total: 1)
"""


def test_the_stack_of_the_thread_that_crashed_is_found_innermost_call_last():
    assert stacks.crashed_stack(CRASH) == (
        'File "shop.py", line 5 in run',
        'File "native.py", line 12 in call',
    )
    assert stacks.fatal_words(CRASH) == "Fatal Python error: Segmentation fault"


def test_of_a_crash_outside_of_python_s_threads_the_main_one_is_shown():
    assert stacks.crashed_stack(CRASH.replace("Current thread", "Thread")) == (
        'File "shop.py", line 90 in main',
    )


def test_the_way_through_the_engine_is_left_out():
    engine = os.path.dirname(os.path.dirname(stacks.__file__))
    dump = (
        "Current thread 0x1 (most recent call first):\n"
        '  File "shop.py", line 5 in run\n'
        f'  File "{engine}/actions/phases.py", line 1 in run_step\n'
        '  File "<frozen runpy>", line 88 in _run_code\n'
    )

    assert stacks.main_stack(dump) == ('File "shop.py", line 5 in run',)


def test_a_file_for_stacks_keeps_what_was_written_since_it_was_emptied(tmp_path):
    fd = stacks.new_file(tmp_path)
    theirs = os.dup(fd)
    os.write(theirs, b"old" * 1000)

    stacks.forget(fd)
    os.write(theirs, b"new")

    assert stacks.read(fd) == "new"
    os.close(fd)
    os.close(theirs)


def test_of_very_much_the_last_is_read(tmp_path):
    fd = stacks.new_file(tmp_path)
    os.write(fd, b"x" * 1_000_000 + b"end")

    found = stacks.read(fd)

    assert len(found) <= 256 * 1024
    assert found.endswith("xend")
    os.close(fd)
