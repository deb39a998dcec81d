"""How long it takes to be as accurate: `experiment=fast` against the tutorial's whole training."""

import time
from dataclasses import dataclass, replace

from tabulate import tabulate

from experiments.speed.contest import config_of, evenly, pillow_images, reference, trainer_of
from experiments.speed.options import Options
from experiments.speed.reference_loop import BATCH_SIZE, faster_workers
from experiments.speed.timing import Spread
from transfer.evaluate.metrics import evaluate_logits
from transfer.job import Job, prepare

_FREEZE_EPOCHS = 5


@dataclass(frozen=True)
class _Finish:
    """Where a training ended: seconds, evaluations included, and accuracy on the test set."""

    seconds: float
    accuracy: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, test accuracy {self.accuracy:.2%}"


def race_table(options: Options) -> str:
    """Seconds from the first batch to the last evaluation and test accuracy, as a Markdown table.

    The tutorial's loop is its own to the letter: it looks at the whole test set after each epoch,
    its schedule listens to that, and its last epoch's accuracy counts. The project validates
    on images of its own and reads the test set once.

    Both train on the same images, drawn evenly. The rounds are runs of the project, with seeds
    0, 1, …, spread over the tutorial's epochs.
    """
    rows, images, epochs = [], options.images, options.race_epochs
    for model in options.model_names:
        common = (f"model={model}", "weights=starter", *options.overrides)
        protocol = (f"epochs={epochs}", f"freeze_epochs={min(_FREEZE_EPOCHS, epochs)}")
        article = _with_images(prepare(config_of("experiment=article", *common, *protocol)), images)
        fast = _with_images(
            prepare(config_of("experiment=fast", "augment=crop_flip", *common)), images
        )
        theirs, ours = _race(article, fast, epochs=epochs, rounds=options.rounds)
        rows += [[model, *row] for row in _rows(theirs, ours, fast.config.epochs)]
    headers = ["model", "training", "seconds", "test accuracy, %", "times as fast"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _rows(theirs: list[_Finish], ours: list[_Finish], fast_epochs: int) -> list[list[str]]:
    total, final = sum(each.seconds for each in theirs), theirs[-1].accuracy
    first = next(index for index, each in enumerate(theirs) if each.accuracy >= final)
    reached = sum(each.seconds for each in theirs[: first + 1])
    accuracies = Spread.of([100 * each.accuracy for each in ours])
    return [
        [f"article, {len(theirs)} epochs", f"{total:,.0f}", f"{100 * final:.2f}", "1.0"],
        [
            f"article, first as accurate after epoch {first + 1}",
            f"{reached:,.0f}",
            f"{100 * theirs[first].accuracy:.2f}",
            f"{total / reached:.1f}",
        ],
        [
            f"project, experiment=fast, {fast_epochs} epochs",
            Spread.of([each.seconds for each in ours]).text(),
            accuracies.text(2),
            Spread.of([total / each.seconds for each in ours]).text(1),
        ],
    ]


def _with_images(job: Job, count: int) -> Job:
    return replace(job, data=replace(job.data, train=evenly(job.data.train, count)))


def _race(
    article: Job, fast: Job, *, epochs: int, rounds: int
) -> tuple[list[_Finish], list[_Finish]]:
    """Each epoch of the tutorial's loop, and each run of the project in between."""
    # The tutorial knows no validation split: what it evaluates is the test set.
    tested = replace(article, data=replace(article.data, val=article.data.test))
    workers = faster_workers(pillow_images(tested.data, tested.config, tested.normalization)[0])
    loop = reference(tested, frozen=True, workers=workers)
    theirs: list[_Finish] = []
    ours: list[_Finish] = []
    print(f"article: batch {BATCH_SIZE}, {workers} workers, {len(tested.data.val):,} test images")
    for epoch in range(epochs):
        # Spread over the tutorial's training: what slows the machine for a while slows both.
        if epoch * rounds >= len(ours) * epochs:
            ours.append(_run(fast, seed=len(ours)))
            print(f"project, seed {len(ours) - 1}: {ours[-1]}", flush=True)
        if epoch == _FREEZE_EPOCHS:
            loop.unfreeze()
        start = time.perf_counter()
        _, accuracy = loop.epoch()
        theirs.append(_Finish(time.perf_counter() - start, accuracy))
        print(f"article, epoch {epoch + 1}: {theirs[-1]}", flush=True)
    return theirs, ours


def _run(job: Job, seed: int) -> _Finish:
    start = time.perf_counter()
    trainer = trainer_of(job, seed=seed)
    for _ in trainer.epochs():
        pass
    logits, labels = trainer.test_logits()
    return _Finish(time.perf_counter() - start, evaluate_logits(logits, labels).accuracy)
