"""Train one model on one data set, or with -m every combination of a sweep.

One job goes in, one number comes out: the best score on the validation images by `select_by`, for
sweepers that choose by it; more is better. The accuracy on the test set goes into the report.

    python train.py model=mobilenet_v3_small epochs=10
    python train.py -m model=resnet18,mobilenet_v3_small freeze_epochs=0,5
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from transfer.config import Config, register_schema
from transfer.config.tune import head_epochs
from transfer.sweep.entry import JobContext, Result, interruptible, run_job

if TYPE_CHECKING:
    from transfer.job import Job
    from transfer.system.checkpoints import Checkpoints
    from transfer.system.memory import PeakMemory
    from transfer.system.other_jobs import OtherJobs
    from transfer.tracking.job_run import JobRun
    from transfer.training.trainer import Trainer

log = logging.getLogger(__name__)
register_schema()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> float:
    return run_job(composed, train)


def train(config: Config, composed: DictConfig, context: JobContext) -> Result:
    """Train, test once with the weights that were best on validation, and record all of it."""
    # Imported here, so that --help and a misspelt key are answered at once.
    from transfer.job import memory_explained, prepare
    from transfer.sweep.former_result import former_result
    from transfer.system.checkpoints import Checkpoints
    from transfer.system.device import keep_freed_memory
    from transfer.system.memory import PeakMemory
    from transfer.system.other_jobs import OtherJobs
    from transfer.tracking.run_weights import fetch_run_weights
    from transfer.tracking.start import start_run
    from transfer.training.checkpoint import go_on
    from transfer.training.epoch import best_score
    from transfer.training.trainer import Trainer

    keep_freed_memory()
    with memory_explained(config):
        job = prepare(config, context.number, fetch_run_weights(config))
    if (former := former_result(job, context)) is not None:
        return former
    log.info(job)
    with (
        start_run(job, context.folder, context.sweep) as run,
        memory_explained(job.config),
        OtherJobs() as others,
        PeakMemory(job.device, job.bytes_held) as memory,
    ):
        run.log_config(composed, job)
        trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
        checkpoints = Checkpoints(run.folder, run.id)
        if go_on(trainer, checkpoints):
            log.info("%s: going on after epoch %d", job.name, len(trainer.history))
        _train_epochs(trainer, run, checkpoints, context, others)
        if len(trainer.history) < config.epochs:
            return _pause(job, run, trainer, checkpoints)
        summary = _test(job, run, trainer, others, memory)
    checkpoints.remove()
    log.info("%s: test accuracy %.2f %%, run %s", job.name, 100 * summary["test/acc"], run.id)
    return Result(best_score(config.select_by, trainer.history))


def _train_epochs(
    trainer: Trainer, run: JobRun, checkpoints: Checkpoints, context: JobContext, others: OtherJobs
) -> None:
    """Train the epochs that are left, or as far as the job is to pause, and log all of them."""
    from transfer.system.interrupt import deferred
    from transfer.training.checkpoint import keep, saved_when_interrupted

    for epoch in trainer.history:
        run.log_epoch(epoch.number, epoch.metrics, epoch.iteration_losses)
    with saved_when_interrupted(trainer, checkpoints):
        for epoch in context.watch(trainer.epochs(trainer.config.stop_after)):
            with deferred():
                if checkpoints.due():
                    keep(trainer, checkpoints)
                run.log_epoch(epoch.number, epoch.metrics, epoch.iteration_losses)
            log.info(epoch)
            others.look()


def _pause(job: Job, run: JobRun, trainer: Trainer, checkpoints: Checkpoints) -> Result:
    """Keep all that a later command needs to go on."""
    from transfer.system.interrupt import deferred
    from transfer.training.checkpoint import keep
    from transfer.training.epoch import best_score

    with deferred():
        keep(trainer, checkpoints)
        score = best_score(job.config.select_by, trainer.history)
        run.log_pause(len(trainer.history), score, *trainer.best_answers, job.data.classes)
    log.info("%s: paused after epoch %d, run %s", job.name, len(trainer.history), run.id)
    return Result(score, paused=True)


def _test(
    job: Job, run: JobRun, trainer: Trainer, others: OtherJobs, memory: PeakMemory
) -> dict[str, float]:
    """Read the test set, and log what a run has once; gives the figures of it."""
    from transfer.evaluate.cost import cost_metrics
    from transfer.evaluate.metrics import evaluate_logits
    from transfer.training.epoch import summary_metrics

    config, tracking = job.config, job.config.tracking
    logits, labels = trainer.test_logits()
    test, seen = (evaluate_logits(*each) for each in ((logits, labels), trainer.train_logits()))
    cost = job.cost_metrics | {"time/other_jobs": others.most()}
    cost |= cost_metrics(trainer.model, config.image_size, job.device, memory.stop())
    cost["profile/other_jobs"] = others.most()
    summary = summary_metrics(trainer.history, test, seen) | cost
    run.log_summary(summary)
    run.log_predictions(logits, labels, job.data.classes)
    run.log_examples(logits, labels, job.data, tracking.examples)
    run.log_weights(trainer.best_weights, job)
    if tracking.log_model:
        run.log_model(trainer.model, config.image_size)
    run.log_history()
    # Imported here, for matplotlib is not needed until now, and takes a second.
    from transfer.report.figures.curves import write_curves

    run.log_file(write_curves(run.folder, head_epochs(config), job.name))
    return summary


if __name__ == "__main__":
    with interruptible():
        main()
