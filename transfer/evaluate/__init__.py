"""Accuracy, loss, calibration and cost of a classifier. Knows no files."""

from transfer.evaluate.cost import cost_metrics
from transfer.evaluate.metrics import Evaluation, evaluate_logits, predict_logits
from transfer.evaluate.profile import (
    count_macs,
    count_parameters,
    latencies_ms,
    peak_memory_mb,
    reset_peak_memory,
    size_mb,
)

__all__ = [
    "Evaluation",
    "cost_metrics",
    "count_macs",
    "count_parameters",
    "evaluate_logits",
    "latencies_ms",
    "peak_memory_mb",
    "predict_logits",
    "reset_peak_memory",
    "size_mb",
]
