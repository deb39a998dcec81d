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
  folders    time to the first batch, memory and disk by pictures in many class folders: a fifth, a
             half and all of images=…, which are copied from data.root; up to a thousand classes
  streaming  images a second of unfrozen epochs, resident and streamed
  predict    pictures a second from files to a table, against torchvision's usual loop
  gpu        the article's training and experiment=fast to their end, and the share of the device's
             bfloat16 peak that training steps reach; on all images, for a GPU (make gpu)

Everything that is no key below goes to the configuration, as on train.py's command line.
"""

import platform

import torch

from experiments.arguments import run
from experiments.speed.augment import augment_table
from experiments.speed.epochs import epochs_table, streaming_table
from experiments.speed.folders import folders_table
from experiments.speed.gpu import gpu_table
from experiments.speed.growth import growth_table
from experiments.speed.heads import heads_table
from experiments.speed.options import Options
from experiments.speed.precisions import precision_table
from experiments.speed.predictions import predictions_table
from experiments.speed.race import race_table
from experiments.speed.timing import CLOCKS
from transfer.system.device import keep_freed_memory
from transfer.system.errors import ConfigError

_TABLES = {
    "epochs": epochs_table,
    "augment": augment_table,
    "precision": precision_table,
    "race": race_table,
    "heads": heads_table,
    "growth": growth_table,
    "folders": folders_table,
    "streaming": streaming_table,
    "predict": predictions_table,
    "gpu": gpu_table,
}


def main(options: Options) -> None:
    questions = options.what.split(",")
    for question in questions:
        if question not in _TABLES:
            raise ConfigError("what", question, f"choose from {', '.join(_TABLES)}")
    for key, value in vars(options).items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(key, value, "must be at least 1")
    if options.clock not in CLOCKS:
        raise ConfigError("clock", options.clock, f"choose from {', '.join(CLOCKS)}")
    keep_freed_memory()
    print(f"{_machine()}; torch {torch.__version__}, {torch.get_num_threads()} threads")
    for question in questions:
        print(f"\n## {question}\n")
        print(_TABLES[question](options))


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    run(main, Options, __doc__)
