"""Actions that tests let worker processes run: a job's action class names one of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from dynflow_mp.actions.action import Action


class Nothing(Action):
    def run(self):
        pass


class Echo(Action):
    def run(self):
        self.output["heard"] = self.input["say"]


class Finish(Action):
    def run(self):
        pass

    def finalize(self):
        if self.input.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.output["finalized"] = True


class Wait(Action):
    """Touches ``begun`` and waits until ``go`` is there."""

    def run(self):
        Path(self.input["begun"]).write_text(str(os.getpid()))
        give_up_at = time.monotonic() + 60
        while not os.path.exists(self.input["go"]) and time.monotonic() < give_up_at:
            time.sleep(0.005)


class Spin(Action):
    """Keeps the interpreter to itself for ever."""

    def run(self):
        Path(self.input["begun"]).write_text(str(os.getpid()))
        while True:
            pass


class BeginOnly(Action):
    """After it its worker idles."""

    def run(self):
        Path(self.input["begun"]).write_text(str(os.getpid()))


class StandStill(Action):
    """Stops its whole process, as Ctrl-Z would."""

    def run(self):
        Path(self.input["begun"]).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1000)


class PrintAndTouch(Action):
    """Touches a file when all that it printed is gone."""

    def run(self):
        for _ in range(self.input["megabytes"]):
            sys.stdout.write("x" * 2**20)
        sys.stdout.flush()
        Path(self.input["done"]).touch()


class StartSleeper(Action):
    """Leaves a process behind and goes on for ever."""

    def run(self):
        sleeper = subprocess.Popen(["sleep", "1000"])
        Path(self.input["begun"]).write_text(str(sleeper.pid))
        time.sleep(1000)


class Die(Action):
    def run(self):
        match self.input["how"]:
            case "sys.exit":
                sys.exit(7)
            case "os._exit":
                os._exit(7)
            case "os.abort":
                os.abort()
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "close":
                os.closerange(0, 512)


class Modules(Action):
    def run(self):
        self.output["modules"] = sorted(sys.modules)


class Surroundings(Action):
    def run(self):
        status = Path("/proc/self/status").read_text()
        rss_kb = int(status.split("VmRSS:")[1].split()[0])
        self.output.update(
            environment=dict(os.environ), cwd=os.getcwd(), path=list(sys.path), rss_kb=rss_kb, pid=os.getpid()
        )


class Print(Action):
    def run(self):
        sys.stdout.write("first line\n")
        chunk = "x" * 65535 + "\n"
        for _ in range(self.input["megabytes"] * 16):
            sys.stdout.write(chunk)
        sys.stdout.write("last line\n")


class LeaveThread(Action):
    def run(self):
        threading.Thread(target=time.sleep, args=(1000,)).start()


class Large(Action):
    def run(self):
        self.output["data"] = b"x" * self.input["bytes"]


class Doze(Action):
    """A little work, a little sleep, in short pieces."""

    def run(self):
        for _ in range(self.input["pieces"]):
            sum(range(1000))
            time.sleep(0.0001)
        self.output["heard"] = self.input["say"]
