"""Provisioning several hosts: what a plan looks like, what a failure leaves, and how it goes on.

    network ─▶ ┌ web-1: disk ─▶ machine ─▶ ┌ address    ┐ ─▶ configure ┐ ─▶ inventory
               ├ web-2: …                  └ monitoring ┘             ┤
               └ db-1:  disk ✗ (its image is not there yet)            ┘

``python -m examples.orchestrate`` plays it on a site of files in a temporary directory: the hosts are made side by
side, each in its own order. One image is missing, so that host's first step fails. The other hosts are finished all
the same, and the plan pauses instead of being lost. Then the image is put where it belongs and the plan is resumed:
only the step that failed and what waited for it run, which the site's journal shows.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from dynflow_mp import Action, ExecutionPlan, Triggered, World

HOSTS = {"web-1": "debian", "web-2": "debian", "db-1": "postgres"}
WORK_S = 0.05
FINISHED_S = 60.0


class CreateInfrastructure(Action):
    """A network, the hosts on it, and the list of what came of it."""

    def plan(self, site: str, hosts: dict[str, str]) -> None:
        with self.sequence():
            network = self.plan_action(CreateNetwork, site=site, hosts=sorted(hosts))
            with self.concurrence():
                machines = [
                    self.plan_action(CreateHost, site, name, image, network.output["addresses"][name])
                    for name, image in hosts.items()
                ]
            self.plan_action(
                WriteInventory, site=site, hosts=[machine.output["host"] for machine in machines]
            )


class CreateHost(Action):
    """One host, from its disk to its configuration."""

    def plan(self, site: str, name: str, image: str, address: Any) -> None:
        host = {"site": site, "host": name}
        with self.sequence():
            disk = self.plan_action(PrepareDisk, host, image=image)
            machine = self.plan_action(StartMachine, host, disk=disk.output["path"])
            with self.concurrence():
                self.plan_action(AssignAddress, host, address=address)
                self.plan_action(AddToMonitoring, host, machine=machine.output["id"])
            self.plan_action(Configure, host, address=address)
            self.plan_self(name=name, address=address, machine=machine.output["id"])

    def run(self) -> None:
        self.output["host"] = dict(self.input)


class OnSite(Action, abstract=True):
    """A step that changes something at the site and writes into its journal that it did."""

    def run(self) -> None:
        time.sleep(WORK_S)
        self.work(Path(self.input["site"]))
        line = f"{type(self).__name__} {self.input.get('host', '')}".rstrip()
        with open(Path(self.input["site"], "journal.txt"), "a") as journal:
            journal.write(f"{line}\n")

    def work(self, site: Path) -> None:
        """What the step is for."""


class CreateNetwork(OnSite):
    """An address for every host."""

    def work(self, site: Path) -> None:
        hosts = enumerate(self.input["hosts"], start=10)
        self.output["addresses"] = {host: f"10.0.0.{number}" for number, host in hosts}


class PrepareDisk(OnSite):
    """The host's disk, from its image."""

    def work(self, site: Path) -> None:
        image = site / "images" / f"{self.input['image']}.img"
        if not image.exists():
            self.error(f"there is no image {image.name} for {self.input['host']}")
        disk = site / f"{self.input['host']}.disk"
        disk.write_bytes(image.read_bytes())
        self.output["path"] = str(disk)


class StartMachine(OnSite):
    """The machine, with its disk in it."""

    def work(self, site: Path) -> None:
        self.output["id"] = f"vm-{os.stat(self.input['disk']).st_ino}"


class AssignAddress(OnSite):
    """The address by which others reach it."""


class AddToMonitoring(OnSite):
    """Somebody looks at it from now on."""


class Configure(OnSite):
    """What it is there to do."""


class WriteInventory(OnSite):
    """The list of all hosts, once all of them are there."""

    def work(self, site: Path) -> None:
        (site / "inventory.json").write_text(json.dumps(self.input["hosts"], indent=1))


# -- the operator ------------------------------------------------------------------------------------


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Worker processes.")
def main(workers: int) -> None:
    """Provision three hosts, meet a missing image, put it right and go on."""
    with tempfile.TemporaryDirectory(prefix="dynflow-site-") as directory:
        site = Path(directory)
        add_image(site, "debian")
        with World(database_url=f"sqlite:///{site}/plans.db", workers=workers) as world:
            provision(world, site)
        for host in json.loads((site / "inventory.json").read_text()):
            click.echo(f"{host['name']:>6} │ {host['address']} {host['machine']}")


def provision(world: World, site: Path) -> None:
    triggered = world.trigger(CreateInfrastructure, str(site), HOSTS)
    if not isinstance(triggered, Triggered):
        raise SystemExit(f"the plan could not be made: {triggered}")
    plan = triggered.finished.result(FINISHED_S)
    tell(plan)
    done_before = journal(site)
    add_image(site, "postgres")
    click.echo("  site │ the image is there now; the plan is resumed")
    tell(world.execute(plan.id).result(FINISHED_S))
    repeated = set(done_before) & set(journal(site)[len(done_before) :])
    click.echo(f"  site │ {len(done_before)} steps were done before it, {len(repeated)} of them again")


def tell(plan: ExecutionPlan) -> None:
    """How a plan stands: its state, what failed, what waits."""
    states = [step.state.value for step in plan.run_steps]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    click.echo(f"  plan │ {plan.state}, {plan.result}: {counts}; {plan.progress:.0%} done")
    for step in plan.failed_steps:
        click.echo(
            f"  plan │ step {step.id}, {step.action_class}: {step.error.message if step.error else None}"
        )


def add_image(site: Path, name: str) -> None:
    (site / "images").mkdir(exist_ok=True)
    (site / "images" / f"{name}.img").write_bytes(name.encode() * 1000)


def journal(site: Path) -> list[str]:
    return (site / "journal.txt").read_text().splitlines()


if __name__ == "__main__":
    main()
