"""What is measured, one file each."""

from __future__ import annotations

from bench.workloads.chain import chain
from bench.workloads.cpu import cpu
from bench.workloads.events import events
from bench.workloads.fan_out import fan_out
from bench.workloads.growth import growth
from bench.workloads.latency import latency
from bench.workloads.many_plans import many_plans
from bench.workloads.memory import memory
from bench.workloads.payload import payload
from bench.workloads.plan_build import plan_build
from bench.workloads.recovery import recovery
from bench.workloads.start import start
from bench.workloads.sub_plans import sub_plans
from bench.workloads.suspended import suspended
from bench.workloads.workload import Workload

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        fan_out,
        plan_build,
        chain,
        many_plans,
        latency,
        payload,
        cpu,
        start,
        memory,
        growth,
        events,
        sub_plans,
        suspended,
        recovery,
    )
}
