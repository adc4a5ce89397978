"""What runs in the pictures of the documents: releases of a small shop, some of which do not get through."""

from __future__ import annotations

import time
import zlib
from typing import Any

from dynflow_mp import Action, Cancellable

TICK_S = 0.05


class Release(Action):
    """Builds and scans each service, tests them together, deploys region after region, and tells about it."""

    def plan(
        self,
        version: str,
        services: list[str],
        regions: list[str],
        registry: str = "up",
        approval: bool = False,
    ) -> None:
        with self.sequence():
            with self.concurrence():
                for service in services:
                    self.ship(service, version, registry)
            with self.concurrence():
                for suite in ("unit", "api", "browser"):
                    self.plan_action(RunTests, suite=suite)
            if approval:
                self.plan_action(WaitForApproval, version=version)
            for region in regions:
                self.plan_action(Deploy, region=region, version=version)
        self.plan_self(version=version)

    def ship(self, service: str, version: str, registry: str) -> None:
        with self.sequence():
            image = self.plan_action(BuildImage, service=service, version=version)
            self.plan_action(ScanImage, digest=image.output["digest"])
            self.plan_action(
                PushImage,
                service=service,
                registry=registry,
                registry_token="t0p-secret",
                digest=image.output["digest"],
            )

    def finalize(self) -> None:
        self.output["announced"] = self.input["version"]

    def label(self) -> str:
        return f"Release {self.input.get('version', '')}"


class BuildImage(Action):
    """The larger the service's name, the longer it takes."""

    def run(self) -> None:
        work(self, 0.5 + len(self.input["service"]) / 8)
        self.output["digest"] = f"sha256:{zlib.crc32(self.input['service'].encode()):08x}"


class ScanImage(Action):
    """Finds nothing."""

    def run(self) -> None:
        work(self, 0.4)
        self.output["findings"] = 0


class PushImage(Action):
    """Needs a registry that is up."""

    def run(self) -> None:
        work(self, 0.2)
        if self.input["registry"] != "up":
            raise ConnectionError(
                f"registry {self.input['registry']}:5000 refused the connection after 3 attempts"
            )


class RunTests(Action):
    """One suite."""

    def run(self) -> None:
        work(self, {"unit": 0.6, "api": 1.1, "browser": 2.2}[self.input["suite"]])
        self.output["passed"] = 240


class WaitForApproval(Cancellable):
    """Waits, without a worker, for somebody's word."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()
        self.output["approved_by"] = event

    def cancel(self) -> None:
        self.error("not approved")


class Deploy(Action):
    """One region."""

    def run(self) -> None:
        work(self, 0.9)


class CleanUp(Action):
    """For the small hours."""

    def run(self) -> None:
        self.output["removed"] = 12


def work(action: Action, seconds: float) -> None:
    """Take a while, and tell how far it is."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        action.report_progress(passed / seconds)
        time.sleep(TICK_S)
