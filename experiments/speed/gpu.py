"""What a GPU makes of it: whole trainings to their end, and steps beside what the device can do."""

import time
from dataclasses import replace
from itertools import product

import torch
from tabulate import tabulate

from experiments.speed.contest import config_of, evenly, trainer_of, training_step
from experiments.speed.options import Options
from experiments.speed.peak import matrix_product_peak, step_operations
from experiments.speed.timing import Spread, alternate, ratios
from transfer.evaluate.metrics import evaluate_logits
from transfer.job import Job, prepare
from transfer.system.device import resolve_device, synchronize

# Each to its end, evaluations included, as a user would type it.
_TRAININGS = {
    "article": ("experiment=article", "augment=article", "freeze_epochs=5"),
    "fast": ("experiment=fast", "augment=crop_flip"),
}
_BATCHES = (64, 256, 1024)
_STEPS = 20


def gpu_table(options: Options) -> str:
    """Seconds and test accuracy of whole trainings, on all training images; images a second of
    training steps in each precision, launched kernel by kernel and as a whole, and their share of
    the rate of a matrix product in bfloat16: two Markdown tables."""
    return f"{_trainings(options)}\n\n{_steps(options)}"


def _trainings(options: Options) -> str:
    rows = []
    for model in options.model_names:
        for name, overrides in _TRAININGS.items():
            job = prepare(
                config_of(f"model={model}", "weights=starter", *overrides, *options.overrides)
            )
            # Kernels are chosen, and the allocator is filled, once a process.
            next(trainer_of(job).epochs())
            start = time.perf_counter()
            trainer = trainer_of(job)
            for _ in trainer.epochs():
                pass
            accuracy = evaluate_logits(*trainer.test_logits()).accuracy
            synchronize(job.device)
            seconds = time.perf_counter() - start
            seen = len(job.data.train) * job.config.epochs
            row = [model, name, str(job.config.epochs), job.config.precision, f"{seconds:.1f}"]
            rows.append([*row, f"{seen / seconds:,.0f}", f"{100 * accuracy:.2f}"])
            print(", ".join(rows[-1]), flush=True)
    headers = ["model", "experiment", "epochs", "precision", "seconds", "images a second"]
    headers.append("test accuracy, %")
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _steps(options: Options) -> str:
    device = resolve_device(config_of(*options.overrides).device)
    peak = matrix_product_peak(device, torch.bfloat16)
    rows = []
    for model in options.model_names:
        job = prepare(config_of(f"model={model}", "experiment=fast", *options.overrides))
        operations = step_operations(job.model(), job.config.image_size, job.device)
        for batch, precision in product(_BATCHES, ("float32", "bfloat16")):
            alone, whole = _rates(job, batch, precision, options.rounds)
            share = Spread.of([100 * rate * operations / peak for rate in whole])
            texts = [Spread.of(alone).text(), Spread.of(whole).text()]
            row = [model, str(batch), precision, *texts, ratios(whole, alone).text(2)]
            rows.append([*row, share.text(1)])
            print(", ".join(rows[-1]), flush=True)
    headers = ["model", "batch", "precision", "images a second", "as CUDA graphs"]
    headers += ["times as fast", "share of the bfloat16 peak, %"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _rates(job: Job, batch: int, precision: str, rounds: int) -> tuple[list[float], list[float]]:
    """Images a second of training steps in each round, launched kernel by kernel and as a whole."""
    job = replace(job, data=replace(job.data, train=evenly(job.data.train, batch)))
    steps = {
        name: training_step(
            replace(job, config=replace(job.config, precision=precision, cuda_graphs=whole)),
            _STEPS,
        )
        for name, whole in (("alone", False), ("whole", True))
    }
    seconds = alternate(steps, rounds, job.device)
    alone, whole = ([batch * _STEPS / each for each in times] for times in seconds.values())
    return alone, whole
