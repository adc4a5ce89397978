"""Actions that do to their worker what steps should not: each mishap is a function, called by name."""

import asyncio
import builtins
import ctypes
import decimal
import faulthandler
import gc
import locale
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from dynflow_mp import Action

MISHAPS = {}


def mishap(function):
    """Enter a function under its name; it is given the action."""
    MISHAPS[function.__name__] = function
    return function


class Mishap(Action):
    """Does what its input names, and says that it got to its end."""

    def run(self):
        MISHAPS[self.input["what"]](self)
        self.output["pid"] = os.getpid()


class MishapInFinalize(Action):
    def run(self):
        pass

    def finalize(self):
        MISHAPS[self.input["what"]](self)
        self.output["pid"] = os.getpid()


class Witness(Action):
    """Writes down what a step finds when it begins, in ``run`` and again in ``finalize``."""

    def run(self):
        self.output["found"] = surroundings()
        print("printing works", flush=True)

    def finalize(self):
        self.output["found_later"] = surroundings()


class After(Action):
    """A mishap, then a witness: in run one behind the other, in finalize too."""

    def plan(self, what, kind="Mishap"):
        with self.sequence():
            self.plan_action(globals()[kind], what=what)
            self.plan_action(Witness)


class Produces(Action):
    def run(self):
        self.output.update(self.input["output"])


class Needs(Action):
    def run(self):
        pass


class Refers(Action):
    """A producer that writes ``output``, and a consumer that refers to what ``keys`` lead to."""

    def plan(self, output, keys):
        reference = self.plan_action(Produces, output=output).output
        for key in keys:
            reference = reference[key]
        self.plan_action(Needs, host={"address": reference})


class Storing(Action):
    """Writes what a mishap returns to its output."""

    def run(self):
        self.output["users"] = [{"name": "Ada"}, {"created_at": MISHAPS[self.input["what"]](self)}]


class Listening(Action):
    def run(self, event=None):
        if event is None:
            self.suspend()
        self.output["event"] = event


class Interrupted(Action):
    def plan(self):
        raise SystemExit("out of plan")

    def run(self):
        pass


def surroundings():
    """What a step sees of its process."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "pid": os.getpid(),
        "directory": os.getcwd(),
        "umask": umask,
        "environment": dict(os.environ),
        "path": list(sys.path),
        "handlers": {
            str(int(number)): str(signal.getsignal(number))
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR1)
        },
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "alarm": list(signal.getitimer(signal.ITIMER_REAL)),
        "limit": sys.getrecursionlimit(),
        "streams": [stream is getattr(sys, f"__{name}__") for name, stream in _streams()],
        "closed": [getattr(stream, "closed", None) for _, stream in _streams()],
        "locale": locale.setlocale(locale.LC_ALL),
        "collecting": gc.isenabled(),
        "faults": faulthandler.is_enabled(),
        "traced": sys.gettrace() is not None,
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "precision": decimal.getcontext().prec,
        "outputs": [os.fstat(fd).st_ino for fd in (1, 2)],
    }


def _streams():
    return [(name, getattr(sys, name)) for name in ("stdin", "stdout", "stderr")]


# -- leaving the middle of run -----------------------------------------------------------------------


@mishap
def sys_exit_0(action):
    sys.exit(0)


@mishap
def sys_exit_3(action):
    sys.exit(3)


@mishap
def exit_0(action):
    os._exit(0)


@mishap
def exit_3(action):
    os._exit(3)


@mishap
def abort(action):
    os.abort()


@mishap
def segfault(action):
    ctypes.string_at(0)


@mishap
def kill_itself(action):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)


@mishap
def overflow_the_c_stack(action):
    sys.setrecursionlimit(10**6)

    def dive(_):
        return sorted([0], key=dive)

    dive(0)


@mishap
def recurse(action):
    recurse(action)


@mishap
def interrupt(action):
    raise KeyboardInterrupt("as if by Ctrl-C")


@mishap
def generator_exit(action):
    raise GeneratorExit("from nowhere")


@mishap
def memory_error(action):
    raise MemoryError("too much asked")


@mishap
def base_exception(action):
    raise BaseException("the base itself")


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("cannot be pickled")
        self.lock = threading.Lock()
        self.function = lambda: None


@mishap
def unpicklable(action):
    raise Unpicklable


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


@mishap
def unprintable(action):
    raise Unprintable


@mishap
def twenty_megabytes(action):
    raise ValueError("x" * 20_000_000)


@mishap
def own_cause(action):
    error = ValueError("its own cause")
    error.__cause__ = error
    raise error


@mishap
def group(action):
    raise ExceptionGroup("several", [ValueError("first"), OSError("second")])


@mishap
def make_a_world(action):
    import dynflow_mp

    dynflow_mp.World(database_url="sqlite:///never.db")


# -- printing ----------------------------------------------------------------------------------------

_MEGABYTE = 1_000_000


@mishap
def print_a_lot(action):
    for _ in range(200):
        print("x" * _MEGABYTE)


@mishap
def print_without_end_of_line(action):
    for _ in range(100):
        sys.stderr.write("x" * _MEGABYTE)


@mishap
def write_a_gigabyte_of_garbage(action):
    garbage = bytes(range(256)) * 4096
    written = 0
    while written < 1_000_000_000:
        written += os.write(1, garbage)


@mishap
def have_a_child_print_a_gigabyte(action):
    subprocess.run(["head", "-c", "1000000000", "/dev/zero"], check=True)


# -- what is put back --------------------------------------------------------------------------------


@mishap
def change_directory(action):
    os.chdir("/")


@mishap
def lose_the_directory(action):
    here = Path("gone")
    here.mkdir()
    os.chdir(here)
    Path("../gone").resolve().rmdir()


@mishap
def change_umask(action):
    os.umask(0o777)


@mishap
def change_environment(action):
    os.environ["LEFT_BEHIND"] = "by a step"
    os.environ.pop("PATH", None)
    os.environ["HOME"] = "/nowhere"


@mishap
def replace_environment(action):
    os.environ = {"ALL": "mine"}  # noqa: B003 - that is the mishap


@mishap
def ignore_signals(action):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    time.sleep(0.1)


@mishap
def set_an_alarm(action):
    signal.setitimer(signal.ITIMER_REAL, 0.2)


@mishap
def change_locale(action):
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    time.sleep(0.1)


@mishap
def lower_recursion_limit(action):
    sys.setrecursionlimit(100)


@mishap
def empty_the_path(action):
    sys.path = []


@mishap
def replace_streams(action):
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - never closed: that is the mishap
    sys.stdin = None


@mishap
def close_streams(action):
    sys.stdout.close()
    sys.stderr.close()
    sys.stdin.close()


@mishap
def close_standard_descriptors(action):
    for fd in (0, 1, 2):
        os.close(fd)
    time.sleep(0.1)


@mishap
def redirect_standard_output(action):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    time.sleep(0.1)


@mishap
def stop_collecting(action):
    gc.disable()
    gc.freeze()


@mishap
def forget_faults(action):
    faulthandler.disable()
    faulthandler.unregister(signal.SIGUSR1)
    time.sleep(0.1)


@mishap
def trace(action):
    sys.settrace(lambda frame, event, argument: None)
    sys.setprofile(lambda frame, event, argument: None)


@mishap
def be_nice(action):
    os.nice(5)
    time.sleep(0.1)


@mishap
def change_precision(action):
    decimal.getcontext().prec = 3


# -- descriptors -------------------------------------------------------------------------------------


@mishap
def close_a_range(action):
    os.closerange(3, 256)


@mishap
def close_a_range_slowly(action):
    """Long enough for the control lane to look meanwhile."""
    os.closerange(3, 256)
    time.sleep(0.2)


@mishap
def close_everything(action):
    os.closerange(0, 65536)


@mishap
def put_files_over_sockets(action):
    nowhere = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(("socket:", "anon_inode:")):
                os.dup2(nowhere, int(name))
        except OSError:
            continue


# -- what is left running ----------------------------------------------------------------------------


@mishap
def leave_a_daemon_thread(action):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


@mishap
def leave_a_thread(action):
    threading.Thread(target=time.sleep, args=(1000,), name="forgotten").start()


@mishap
def leave_very_many_threads(action):
    for _ in range(250):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


@mishap
def use_a_pool_of_threads(action):
    from concurrent.futures import ThreadPoolExecutor

    global _pool
    _pool = ThreadPoolExecutor(2)
    assert list(_pool.map(str, (1, 2))) == ["1", "2"]


@mishap
def leave_a_child(action):
    action.output["child"] = subprocess.Popen(["sleep", "1000"]).pid


@mishap
def leave_a_child_in_its_own_session(action):
    action.output["child"] = subprocess.Popen(["sleep", "1000"], start_new_session=True).pid


@mishap
def leave_a_dead_child(action):
    child = os.fork()
    if child == 0:
        os._exit(0)
    action.output["child"] = child


@mishap
def fork_and_return_twice(action):
    os.fork()
    with open(action.input["log"], "a") as file:
        file.write(f"{os.getpid()}\n")


@mishap
def fork_and_exit_twice(action):
    if os.fork() == 0:
        sys.exit(0)


@mishap
def use_multiprocessing(action):
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        child = context.Process(target=len, args=("done",))
        child.start()
        child.join(20)
        assert child.exitcode == 0


@mishap
def use_asyncio(action):
    asyncio.run(asyncio.sleep(0.01))


# -- what stays as it is -----------------------------------------------------------------------------


@mishap
def patch_what_everybody_uses(action):
    time.time = time.monotonic = time.perf_counter = lambda: 0.0
    time.time_ns = lambda: 0
    builtins.print = lambda *args, **kwargs: None
    os.getcwd = lambda: "/patched"


@mishap
def delete_its_module(action):
    sys.modules.pop(__name__, None)


@mishap
def spoil_its_class(action):
    type(action).run_progress_weight = "heavy"
    type(action).spoiled = True


@mishap
def change_its_input(action):
    action.input["what"] = object()
    action.input.clear()


# -- what cannot be stored ---------------------------------------------------------------------------


@mishap
def an_object(action):
    return object()


@mishap
def no_dict(action):
    action.output = ["a list"]


@mishap
def too_much_output(action):
    action.output["data"] = b"x" * 5_000_000


# -- what hangs --------------------------------------------------------------------------------------


@mishap
def ignore_everything(action):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        if number < 32:
            signal.signal(number, signal.SIG_IGN)
    Path(action.input["begun"]).write_text(str(os.getpid()))
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


@mishap
def keep_the_interpreter(action):
    Path(action.input["begun"]).write_text(str(os.getpid()))
    sum(iter(int, 1))
