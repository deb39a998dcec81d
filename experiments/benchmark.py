"""How fast the project trains, against the tutorial's own loop on the same machine, in one run.

    python experiments/benchmark.py [what=epochs,augment] [models=MODEL,MODEL] [images=5000]
                                    [rounds=3] [batch_size=256] [clock=wall] [OVERRIDES OF train.py]
    python experiments/benchmark.py data=image_folder data.root=data/cifar10-jpeg

what=…,…:
  epochs     images a second of unfrozen and frozen epochs, evaluation counted, too
  augment    cost of the batched augmentation beside a training step, and that step's share of the
             machine's peak
  precision  images a second of training steps in float32 and in bfloat16
  race       experiment=fast against the tutorial's loop, each to its end: time and accuracy
  heads      six head-only runs a model over learning rates, exact and on stored features
  growth     time and memory by images, image size, batch and number of runs
  streaming  images a second of unfrozen epochs, resident and streamed

Everything that is no key below goes to the configuration, as on train.py's command line.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from experiments.arguments import option, run
from experiments.speed.augment import augment_table
from experiments.speed.epochs import epochs_table
from experiments.speed.growth import growth_table
from experiments.speed.heads import heads_table
from experiments.speed.precisions import precision_table
from experiments.speed.race import race_table
from experiments.speed.streaming import streaming_table
from experiments.speed.timing import CLOCKS
from transfer.system.device import keep_freed_memory
from transfer.system.errors import ConfigError

_QUESTIONS = ("epochs", "augment", "precision", "race", "heads", "growth", "streaming")


@dataclass
class Options:
    overrides: list[str]
    what: str = option("epochs,augment", "one or several of the above")
    models: str = option("resnet18,mobilenet_v3_small", "with starter weights")
    images: int = option(
        5000, "training images an epoch; a fifth as many are evaluated (race: all there are)"
    )
    rounds: int = option(
        3,
        "turns that each contestant takes; medians are printed, with the least and greatest (race:"
        " turns of experiment=fast, a seed each, while the tutorial's loop runs once)",
    )
    batch_size: int = option(256, "the project's batch beside the article's 64")
    head_epochs: int = option(40, "of the head-only runs")
    race_epochs: int = option(40, "of the tutorial's loop, the first five of them frozen")
    clock: str = option(
        "wall",
        "wall, or cpu: processor time of this process, which other programs disturb less; use it"
        " with OMP_NUM_THREADS=1 (the article's loop then has no worker processes)",
    )


def main(options: Options) -> None:
    questions = options.what.split(",")
    for question in questions:
        if question not in _QUESTIONS:
            raise ConfigError("what", question, f"choose from {', '.join(_QUESTIONS)}")
    for key, value in vars(options).items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(key, value, "must be at least 1")
    if options.clock not in CLOCKS:
        raise ConfigError("clock", options.clock, f"choose from {', '.join(CLOCKS)}")
    keep_freed_memory()
    print(f"{_machine()}; torch {torch.__version__}, {torch.get_num_threads()} threads")
    for question in questions:
        print(f"\n## {question}\n")
        print(_answer(question, options))


def _answer(question: str, options: Options) -> str:
    models, overrides = options.models.split(","), options.overrides
    batch_size, rounds, clock = options.batch_size, options.rounds, options.clock
    if question == "augment":
        return augment_table(models, overrides, batch_size=batch_size, rounds=rounds, clock=clock)
    if question == "precision":
        return precision_table(models, overrides, batch_size=batch_size, rounds=rounds, clock=clock)
    if question == "growth":
        return growth_table(models, overrides)
    images = options.images
    if question == "race":
        epochs = options.race_epochs
        return race_table(models, overrides, images=images, epochs=epochs, rounds=rounds)
    if question == "heads":
        epochs = options.head_epochs
        return heads_table(models, overrides, images=images, epochs=epochs, clock=clock)
    table = streaming_table if question == "streaming" else epochs_table
    return table(
        models, overrides, images=images, batch_size=batch_size, rounds=rounds, clock=clock
    )


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    run(main, Options, __doc__)
