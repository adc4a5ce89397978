"""Process 1 of a pid namespace of its own, with the files that a strict container gives: almost none.

python process_one.py WRITABLE COMMAND …     everything but the directory WRITABLE may only be read
"""

import os
import resource
import subprocess
import sys


def main() -> None:
    writable, *command = sys.argv[1:]
    subprocess.run(["mount", "--bind", writable, writable], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", "/dev/shm"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/tmp"], stderr=subprocess.DEVNULL)
    if "WITHOUT_PROC" in os.environ:
        subprocess.run(["umount", "-l", "/proc"], check=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")
    }
    os.execvpe(command[0], command, {**environment, "TMPDIR": writable, "PYTHONDONTWRITEBYTECODE": "1"})


main()
