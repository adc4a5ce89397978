"""Metrics as Prometheus' own library has them, filled."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dynflow_mp.model.throughput import Spread

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]


def gauge(name: str, text: str, samples: Samples, labels: Labels = ()) -> Metric:
    """What goes up and down."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), samples)


def counter(name: str, text: str, samples: Samples, labels: Labels) -> Metric:
    """What only grows, until its world ends. Its name ends with ``_total`` when it is read."""
    return _filled(CounterMetricFamily(name, text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family


def histogram(name: str, text: str, samples: Iterable[tuple[Labels, Spread]], labels: Labels) -> Metric:
    """How values lie: its buckets, sum and count."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, spread in samples:
        bounds = [*(f"{bound:g}" for bound in spread.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(spread.counts), strict=True))
        family.add_metric(values, buckets=buckets, sum_value=spread.total)
    return family


def as_before(name: str, text: str, samples: Samples, labels: Labels) -> Metric:
    """A counter under a name that does not end as names of counters do: Dynflow's."""
    family = Metric(name, text, "unknown")
    for values, value in samples:
        family.add_sample(name, dict(zip(labels, values, strict=True)), value)
    return family
