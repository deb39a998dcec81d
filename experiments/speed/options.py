"""What a benchmark measures, on what, and how often; each table takes of it what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.arguments import option


@dataclass
class Options:
    """As they are typed; `overrides` are those of train.py, such as data=cifar10."""

    overrides: list[str]
    what: str = option("epochs,augment", "one or several of the above")
    models: str = option("resnet18,mobilenet_v3_small", "with starter weights")
    images: int = option(
        5000,
        "training images an epoch; a fifth as many are evaluated (race: all there are; predict: so"
        " many pictures, again from the first where the data set has fewer)",
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

    @property
    def model_names(self) -> Sequence[str]:
        return self.models.split(",")
