"""The figures that a run has once: what it is judged by, and what it cost."""

from __future__ import annotations

import statistics

from transfer.evaluate import Evaluation, latency_ms, peak_memory_mb, size_mb
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
    """Parameters, arithmetic, memory and time. Measures the latency, so the machine should be
    doing nothing else."""
    memory = peak_memory_mb(job.device)
    latency = latency_ms(trainer.model, job.config.image_size, job.device, trainer.autocast)
    return {
        "profile/params": job.parameters,
        "profile/trainable_params": job.trainable_parameters,
        "profile/macs": job.macs,
        "profile/latency_ms": latency,
        "profile/size_mb": size_mb(trainer.model),
        "profile/peak_memory_mb": memory,
        "time/train_s": sum(epoch.seconds for epoch in trainer.history),
        "throughput/train_img_s": statistics.median(
            epoch.train_images_per_second for epoch in trainer.history
        ),
    }
