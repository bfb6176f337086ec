"""All metrics: adding one is a class in a file of its family and a line here."""

from evals.metrics.base import Metric

METRICS: tuple[Metric, ...] = ()
