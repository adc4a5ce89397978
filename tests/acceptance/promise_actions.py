"""Actions whose workers come to an end in ways that are to be told, and actions that must not be ended."""

import os
import signal
import subprocess
import sys
import time

from engine_actions import note

from dynflow_mp import Action


class SaysMuchAndDies(Action):
    """In every way that something can be printed, then without a word."""

    def run(self):
        print("from print\x1b[31m in red", flush=True)
        print("to standard error", file=sys.stderr)
        os.write(1, b"by the system: \xff\x00\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        sum(range(3_000_000))
        time.sleep(0.3)  # so that it is read while this step runs
        os.kill(os.getpid(), signal.SIGKILL)


class SaysTooMuchAndDies(Action):
    def run(self):
        print("first line")
        for _ in range(3):
            sys.stdout.write("x" * 1_000_000)
        print("\nlast line", flush=True)
        os.abort()


class HoldsTheInterpreter(Action):
    """Computes for a while in native code: nothing else of its process gets to run."""

    def run(self):
        began = time.monotonic()
        sum(range(self.input["count"]))
        self.output["held_s"] = time.monotonic() - began


_LEAK = []


class Leaks(Action):
    """Keeps a megabyte for ever."""

    def run(self):
        _LEAK.append(os.urandom(16) * 65536)
        note(self.input["log"], f"{os.getpid()} {len(_LEAK)}")
        time.sleep(0.002)


class LeakyPlan(Action):
    def plan(self, count, log):
        for _ in range(count):
            self.plan_action(Leaks, log=log)


class TakesAll(Action):
    """All the memory there is."""

    def run(self):
        taken = []
        while True:
            taken.append(os.urandom(16) * 65536)


class KilledAsItStarts:
    """Not an action: what a module does to the first worker that imports it."""

    SOURCE = """
        import os, pathlib, signal
        from engine_actions import *
        if not pathlib.Path({marker!r}).exists():
            pathlib.Path({marker!r}).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        """
