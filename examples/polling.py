"""Following work that goes on elsewhere: started over HTTP, looked at now and then, cancelled by a word from outside.

    you ── trigger, cancel ──▶ World, 2 workers ── POST /builds, GET /builds/7, DELETE /builds/7 ──▶ build service
                                      │ between two looks a step is suspended: no worker,
                                      └ no thread, one stored timer                          (a thread of this program)

``python -m examples.polling`` starts a small HTTP server that pretends to build things, and has it build four. The first takes its
time. While the second is built the service answers with errors twice: the step that polls it tolerates that. The third is cancelled
by ``world.cancel``. The fourth never ends, so that the time its step has set itself is over: the step fails, and its plan waits for somebody to look.
"""

from __future__ import annotations

import json
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any
from urllib.request import Request, urlopen

import click

from dynflow_mp import Action, Cancellable, ExecutionPlan, Polling, Triggered, World

FINISHED_S = 30.0
HTTP_S = 5.0
LOOK_S = 0.05


# -- what the workers run --------------------------------------------------------------------------


class Build(Cancellable, Polling):
    """One build at the service, from its start to its end."""

    poll_intervals = (0.1, 0.2, 0.4)
    attempts_before_next_interval = 3

    def invoke_external_task(self) -> Any:
        self.schedule_timeout(self.input["patience_s"])
        return ask("POST", self.input["service"], {"name": self.input["name"]})

    def poll_external_task(self) -> Any:
        return ask("GET", self.here())

    def done(self) -> bool:
        return bool(self.external_task["state"] != "building")

    def on_finish(self) -> None:
        self.output["artifact"] = self.external_task["artifact"]

    def cancel(self) -> None:
        self.external_task = ask("DELETE", self.here())
        self.on_finish()

    def here(self) -> str:
        """Where the build is known at the service."""
        return f"{self.input['service']}/{self.external_task['id']}"


class Release(Action):
    """Several builds at once, and the list of what they made."""

    def plan(self, service: str, builds: list[dict[str, Any]]) -> None:
        made = [self.plan_action(Build, service=service, **build) for build in builds]
        self.plan_self(artifacts=[build.output["artifact"] for build in made])

    def run(self) -> None:
        self.output["artifacts"] = sorted(self.input["artifacts"])


def ask(method: str, url: str, values: dict[str, Any] | None = None) -> Any:
    """One request to the service; raises for an answer that says it went wrong."""
    data = None if values is None else json.dumps(values).encode()
    with urlopen(Request(url, data, method=method), timeout=HTTP_S) as answer:
        return json.load(answer)


# -- the service -----------------------------------------------------------------------------------


class BuildService:
    """Pretends to build; a context manager, so that its server ends with the program. ``looks`` counts requests by build."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._guard = Lock()
        self._builds: dict[int, dict[str, Any]] = {}
        self.looks: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/builds"

    def __enter__(self) -> BuildService:
        Thread(target=self._server.serve_forever, name="build service", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and content for one request."""
        with self._guard:
            if method == "POST":
                return 200, self._begin(json.loads(body)["name"])
            build = self._builds[int(path.rpartition("/")[2])]
            return self._cancelled(build) if method == "DELETE" else self._looked_at(build)

    def _begin(self, name: str) -> dict[str, Any]:
        number = next(self._numbers)
        self._builds[number] = {"id": number, "name": name, "state": "building", "artifact": None}
        return self._builds[number]

    def _cancelled(self, build: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        build.update(state="cancelled", artifact=f"nothing of {build['name']}")
        return 200, build

    def _looked_at(self, build: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = build["name"]
        looks = self.looks[name] = self.looks.get(name, 0) + 1
        if name == "shaky" and looks in (1, 2):
            return 503, {"error": "out of order"}
        if name not in ("endless", "unwanted") and looks >= 4:
            build.update(state="built", artifact=f"{name}.tar")
        return 200, build

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the names are the standard library's
                self._respond()

            do_POST = do_DELETE = do_GET  # noqa: N815 - so are these

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = service.answer(self.command, self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
                """Say nothing: the example tells what happens."""

        return Handler


# -- the program -----------------------------------------------------------------------------------


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Four builds at a service that is started for it: one simple, one shaky, one cancelled, one too slow."""
    with (
        tempfile.TemporaryDirectory(prefix="dynflow-polling-") as directory,
        BuildService() as service,
        World(database_url=f"sqlite:///{directory}/plans.db", workers=2) as world,
    ):
        good = triggered(world, service, ["simple", "shaky"])
        unwanted = triggered(world, service, ["unwanted"])
        endless = triggered(world, service, ["endless"], patience_s=1.0)
        cancel(world, service, unwanted)
        tell("simple, shaky", good.finished.result(FINISHED_S))
        tell("unwanted", unwanted.finished.result(FINISHED_S))
        tell("endless", endless.finished.result(FINISHED_S))
        say(
            "service",
            ", ".join(f"{name} looked at {looks} times" for name, looks in sorted(service.looks.items())),
        )


def triggered(world: World, service: BuildService, names: list[str], patience_s: float = 20.0) -> Triggered:
    builds = [{"name": name, "patience_s": patience_s} for name in names]
    answer = world.trigger(Release, service.url, builds)
    if not isinstance(answer, Triggered):
        raise SystemExit(f"not planned: {answer}")
    return answer


def cancel(world: World, service: BuildService, plan: Triggered) -> None:
    """Once it is being built, say that it is not wanted any more."""
    ends = monotonic() + FINISHED_S
    while not service.looks.get("unwanted"):
        if monotonic() > ends:
            raise SystemExit("the build did not begin")
        sleep(LOOK_S)
    steps = world.cancel(plan.id).result(FINISHED_S)
    say("you", f"cancelled: {len(steps)} step was told")


def tell(what: str, plan: ExecutionPlan) -> None:
    """How a plan ended, what it made or what went wrong, and how its steps have looked at the service."""
    say(what, f"{plan.state}, {plan.result}: {made_by(plan)}")
    for action in plan.actions:
        if isinstance(action, Build):
            attempts = action.poll_attempts
            say(
                what,
                f"  {action.input['name']}: {attempts['total']} looks, now {action.external_task['state']}",
            )


def made_by(plan: ExecutionPlan) -> str:
    if plan.errors:
        return ", ".join(error.message for error in plan.errors)
    return ", ".join(plan.entry_action.output["artifacts"])


def say(who: str, what: str) -> None:
    click.echo(f"{who:>13} │ {what}")


if __name__ == "__main__":
    main()
