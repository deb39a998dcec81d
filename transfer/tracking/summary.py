"""The figures that a run has once: what it is judged by, and what it cost."""

from __future__ import annotations

import statistics

from transfer.evaluate import Evaluation, latencies_ms, peak_memory_mb, size_mb
from transfer.fit import Epoch, Trainer
from transfer.job import Job


def result_metrics(epochs: list[Epoch], test: Evaluation) -> dict[str, float]:
    """Accuracy and its kin, as fractions; loss in nats."""
    best = [epoch for epoch in epochs if epoch.best][-1]
    return {
        "best/val_acc": best.val_accuracy,
        "best/epoch": best.number,
        "test/acc": test.accuracy,
        "test/loss": test.loss,
        "test/ece": test.ece,
    }


def cost_metrics(job: Job, trainer: Trainer) -> dict[str, float]:
    """Parameters, arithmetic, memory and time. Measures the latency of one image and of a batch of
    64, median and 90th percentile, so the machine should be doing nothing else."""
    memory = peak_memory_mb(job.device)
    size, device = job.config.image_size, job.device
    one, batch = (
        latencies_ms(trainer.model, size, device, trainer.autocast, batch_size=batch_size)
        for batch_size in (1, 64)
    )
    return {
        "profile/params": job.parameters,
        "profile/trainable_params": job.trainable_parameters,
        "profile/macs": job.macs,
        "profile/latency_ms": statistics.median(one),
        "profile/latency_p90_ms": _percentile_90(one),
        "profile/latency_64_ms": statistics.median(batch),
        "profile/latency_64_p90_ms": _percentile_90(batch),
        "profile/size_mb": size_mb(trainer.model),
        "profile/peak_memory_mb": memory,
        "time/train_s": sum(epoch.seconds for epoch in trainer.history),
        "throughput/train_img_s": statistics.median(
            epoch.train_images_per_second for epoch in trainer.history
        ),
    }


def _percentile_90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1]
