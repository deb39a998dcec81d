"""What a GPU makes of it: whole trainings to their end, and steps beside what the device can do."""

import time
from dataclasses import replace

import torch
from tabulate import tabulate

from experiments.speed.contest import config_of, evenly, trainer_of, training_step
from experiments.speed.options import Options
from experiments.speed.peak import matrix_product_peak, step_operations
from experiments.speed.timing import Spread, alternate
from transfer.evaluate.metrics import evaluate_logits
from transfer.job import prepare
from transfer.system.device import resolve_device, synchronize

# Each to its end, evaluations included, as a user would type it.
_TRAININGS = {
    "article": ("experiment=article", "freeze_epochs=5"),
    "fast": ("experiment=fast",),
}
_BATCHES = (256, 1024)
_STEPS = 20


def gpu_table(options: Options) -> str:
    """Seconds and test accuracy of whole trainings, on all training images; images a second of
    training steps in each precision, and their share of the rate of a matrix product in bfloat16:
    two Markdown tables."""
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
        for batch in _BATCHES:
            for precision in ("float32", "bfloat16"):
                job = prepare(config_of(f"model={model}", "experiment=fast", *options.overrides))
                data = replace(job.data, train=evenly(job.data.train, batch))
                config = replace(job.config, precision=precision)
                job = replace(job, data=data, config=config)
                step = {"step": training_step(job, _STEPS)}
                seconds = alternate(step, options.rounds, job.device)["step"]
                rates = [batch * _STEPS / each for each in seconds]
                operations = step_operations(job.model(), config.image_size, job.device)
                share = Spread.of([100 * rate * operations / peak for rate in rates])
                rates_text = Spread.of(rates).text()
                rows.append([model, str(batch), precision, rates_text, share.text(1)])
    headers = ["model", "batch", "precision", "images a second", "share of the bfloat16 peak, %"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
