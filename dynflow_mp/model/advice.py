"""What to try about a step whose process ended: one sentence or two for each cause."""

from __future__ import annotations

from collections.abc import Mapping

_ABOUT: Mapping[str, str] = {
    "out_of_memory": (
        "Give the step less to do at once, or its control group more memory; have fewer workers, or set memory_limit on the "
        "action so that it is stopped before others suffer."
    ),
    "memory_limit": "Give the step less to do at once, or raise memory_limit of its action.",
    "timeout": (
        "Look at the stack: that is where it was. Raise run_timeout_s of its action, or have what it waits for give up "
        "earlier."
    ),
    "deadline": "Give the plan a later deadline, or split what takes so long.",
    "executor_ended": (
        "Its executor was told to end and its time to drain was over: resume the plan. Where steps take long, give executors "
        "a longer drain_grace_s; an action that may run twice can say idempotent = True."
    ),
    "lease_lost": (
        "The executor could not reach its database, or stood still, for almost as long as lease_ttl_s: look into its log. "
        "Resume the plan; on_lease_loss = finish lets steps end in an outage, at a price."
    ),
    "stood_still": (
        "Somebody stopped its worker (kill -STOP, a shell's job control, a debugger that let go) and did not let it go on. Resume "
        "the plan."
    ),
    "halted": "The plan was halted; there is nothing to mend.",
    "supervisor_lost": (
        "The executor itself is gone: look into its log and the system's (out of memory, a reboot, kill -9). Resume the plan; "
        "an action that may run twice can say idempotent = True, and then this is done by itself."
    ),
    "protocol_error": (
        "The worker wrote something that is no answer: does the step write to descriptors that are not its own, or fork and "
        "go on in the child?"
    ),
    "replaced": "See what it left behind: a step must leave its process fit for the next one.",
    "signal(9)": (
        "Somebody or something killed it: the system's log tells whether the kernel did for want of memory; else an operator, "
        "a container's limit, or the code itself. Resume the plan."
    ),
    "signal(15)": "Somebody sent it SIGTERM: workers are to be ended by ending their executor. Resume the plan.",
    "signal(6)": (
        "A library ended the process (abort): its last output usually says why. The stack names the call that led there."
    ),
    "signal(4)": "A library was built for another processor: install one that fits this machine.",
    "signal(7)": "Often a file that was mapped and then cut short, or a full /dev/shm. The stack names the call.",
    "signal(11)": (
        "A native library, or a call by ctypes, touched memory that is not its own; deep recursion does it too. The stack "
        "names the call: update that library, or run it in a process of its own."
    ),
    "unknown": "The process could not be ended: look for storage or a driver that does not answer.",
}


def advice_for(cause: str) -> str:
    """What to try about this cause; empty where nothing can be said."""
    said = _ABOUT.get(cause)
    if said is not None:
        return said
    if cause.startswith("exit("):
        return (
            "Code of the step, or a library it uses, called os._exit (or sys.exit in a forked child): raise an exception "
            "instead, so that the error says why."
        )
    if cause.startswith("signal("):
        return "See what sends this signal; a step should not use signals that end its process."
    return ""
