"""Actions for worlds that end while they run."""

import os
import time

from engine_actions import note

from dynflow_mp import Action


class Tidies(Action):
    """Runs without an end; puts things in order when it is told to."""

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        try:
            self.go_on()
        finally:
            note(self.input["log"], "tidied")

    def go_on(self):
        while True:
            time.sleep(0.01)


class TidiesIdempotently(Tidies):
    """May be begun again; the second time it comes to an end."""

    idempotent = True

    def go_on(self):
        with open(self.input["log"]) as log:
            if log.read().count("begun") == 1:
                super().go_on()


class Deaf(Tidies):
    """Does not let itself be told."""

    def go_on(self):
        while True:
            try:
                super().go_on()
            except BaseException:
                continue
