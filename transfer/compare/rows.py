"""From runs to rows: one a configuration, its replicates folded together."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd

from transfer.compare.criterion import CRITERIA, Criterion, criterion_of
from transfer.compare.crossed import NO_SCATTER, Scatter, units
from transfer.compare.earlier import with_later_keys
from transfer.compare.intervals import mean_interval
from transfer.compare.keys import label_keys, short, sort_keys
from transfer.compare.replicates import Replicate, configurations, test_images_of
from transfer.compare.statistics import Floats, Interval
from transfer.config.uneven import UNEVEN
from transfer.tracking.artifacts import History, Predictions
from transfer.tracking.run_record import RunRecord


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        keys: the choices that differ within the report, such as {"model": "resnet18"}.
        label_keys: those of them that name it.
        runs: its finished runs, one a replicate, in the order of these.
        replicates: by which seed, split and fold each of them was trained.
        histories: of each run.
        predictions: of each run; None where a run has none.
        number: from 1, of the rows that the same choices name: recipes of which the parameters do
            not tell by what they differ, such as one of an earlier version; the oldest first.
        scatters: of the replicates of all rows of the report, by the criterion's name.
    """

    keys: dict[str, str]
    label_keys: Sequence[str]
    runs: Sequence[RunRecord]
    replicates: Sequence[Replicate]
    histories: Sequence[History]
    predictions: Sequence[Predictions | None]
    number: int = 1
    scatters: Mapping[str, Scatter] = field(default_factory=dict)

    @cached_property
    def answers(self) -> list[Predictions]:
        """The predictions of the replicates that have some."""
        return [each for each in self.predictions if each is not None]

    @property
    def params(self) -> dict[str, str]:
        """Every parameter; those that are no choice, such as the seed, of the first run."""
        return self.runs[0].params

    @property
    def label(self) -> str:
        """Short and unambiguous within the report: for legends."""
        return self.label_without(None)

    def label_without(self, left_out: str | None) -> str:
        """The label of what this and others have in common that differ in one key alone."""
        label = label_of(self.keys, [key for key in self.label_keys if key != left_out])
        return f"{label} ({self.number})" if self.number > 1 else label

    def metric(self, name: str) -> list[float]:
        """A summary metric of every replicate; NaN where a run lacks it."""
        return [run.metrics.get(name, math.nan) for run in self.runs]

    def final(self, name: str) -> list[float]:
        """The last epoch's value of a metric, of every replicate; NaN where a run lacks it."""
        curves = [history.epochs.get(name) for history in self.histories]
        return [math.nan if curve is None else float(curve.iloc[-1]) for curve in curves]

    def by_epoch(self, name: str) -> pd.DataFrame:
        """A metric over epochs: a row an epoch, a column a replicate that has it."""
        curves = [history.epochs[name] for history in self.histories if name in history.epochs]
        return pd.concat(curves, axis=1) if curves else pd.DataFrame()

    def curve(self, name: str) -> pd.Series:
        """A metric over epochs, its mean over replicates; empty where no run has it."""
        return self.by_epoch(name).mean(axis=1)

    @cached_property
    def below_validation(self) -> tuple[int, int]:
        """In how many epochs training accuracy lies below validation accuracy, and of how many;
        (0, 0) where a curve is lost."""
        train, validation = self.curve("train/acc"), self.curve("val/acc")
        if train.empty or validation.empty:
            return 0, 0
        return int((train < validation).sum()), len(train)

    def batch_loss_std(self) -> list[float]:
        """Standard deviation of the batch loss over the last epoch, of every replicate."""
        return [history.batch_loss_std for history in self.histories]

    def generalisation_gap(self) -> list[float]:
        """Accuracy on training images minus that on test images, as a fraction, of every replicate:
        of the tested weights in evaluation. Of runs that did not measure that, final training
        accuracy counts, of the images as they were trained on."""
        measured, final = self.metric("best/train_acc"), self.final("train/acc")
        train = [b if math.isnan(a) else a for a, b in zip(measured, final, strict=True)]
        return [a - b for a, b in zip(train, self.metric("test/acc"), strict=True)]

    def lost_in_evaluation(self) -> list[float]:
        """Training accuracy as it was counted in the best epoch, minus accuracy on training images
        in evaluation after it, as a fraction, of every replicate; NaN where either is unknown.

        Above 0 for a network that gives other answers in evaluation than while it trains, as with
        statistics of BatchNorm that lag behind its weights.
        """
        found = []
        for run, history in zip(self.runs, self.histories, strict=True):
            curve, best = history.epochs.get("train/acc"), run.metrics.get("best/epoch", 0)
            counted = math.nan if curve is None else curve.get(int(best), math.nan)
            found.append(float(counted) - run.metrics.get("best/train_acc", math.nan))
        return found

    @property
    def sound(self) -> bool:
        """Whether its test images had no part in its training, and were seen as they are."""
        params = self.params
        augmented = params.get("protocol.augment_evaluation_of", "[]")
        apart = params.get("protocol.validation", "held_out") == "held_out"
        return apart and f"'{params['model.name']}'" not in augmented

    def deployed(self, criterion: Criterion, images: tuple[str | None, ...] | None = None) -> int:
        """Which of its runs gives the network to use: the one that was best on validation.

        Args:
            images: where some runs were tested on these, as `test_images_of` names them, the best
                of those.
        """
        values = np.nan_to_num(
            criterion.sign * np.array(self.metric(criterion.validation)), nan=-math.inf
        )
        tested = [number for number, run in enumerate(self.runs) if test_images_of(run) == images]
        candidates = tested or range(len(self.runs))
        return max(candidates, key=lambda number: float(values[number]))

    @cached_property
    def accuracy(self) -> Interval:
        """Mean test accuracy, 0 to 1, with its 95 % interval, as `score`."""
        return self.score(CRITERIA["acc"])

    def score(self, criterion: Criterion) -> Interval:
        """The mean of a measure of the test images with its 95 % interval: for other replicates and
        other test images, where there are at least two replicates; for other test images, where
        there is one. Without predictions it has no bounds."""
        scatter = self.scatters.get(criterion.name, NO_SCATTER)
        answers = self.predictions
        return mean_interval(self.runs, self.replicates, answers, criterion, scatter)

    @cached_property
    def uneven(self) -> bool:
        """Whether one class has more than one and a half times the test images of another."""
        sizes = np.bincount(self.answers[0].labels) if self.answers else np.ones(1)
        return bool(sizes.max() > UNEVEN * sizes.min())

    @cached_property
    def class_accuracy(self) -> Floats:
        """Test accuracy of each class, 0 to 1, mean over replicates; empty without predictions, NaN
        for a class without test images."""
        known = [each.class_accuracy for each in self.answers]
        return np.mean(known, axis=0) if known else np.array([])

    def worst_class(self) -> list[float]:
        """The least accurate class's accuracy, of every replicate; NaN without predictions."""
        return [
            math.nan if each is None else float(np.nanmin(each.class_accuracy))
            for each in self.predictions
        ]

    @property
    def freeze_epochs(self) -> int:
        """How many epochs, the first ones, trained the head alone."""
        name = "epochs" if self.params.get("tune") == "head" else "freeze_epochs"
        return int(self.params[name])


def mean_scores(rows: Sequence[Row], measure: str, sign: int = 1) -> Floats:
    """The mean of a measure over the replicates of each row, [R], more being better with the
    measure's sign; minus infinity where no replicate says.

    Where rows were trained on other splits or folds, how hard each of these is does not count: an
    additive model of rows and splits, by least squares (Searle, Speed and Milliken 1980,
    "Population marginal means in the linear model", The American Statistician 34). Else a
    configuration that failed on a hard fold would come before those that did not.
    """
    scores = []
    for row in rows:
        by_split: dict[tuple[int, int], list[float]] = {}
        for replicate, value in zip(row.replicates, row.metric(measure), strict=True):
            if math.isfinite(value):
                by_split.setdefault(replicate.split, []).append(sign * value)
        scores.append(by_split)
    means = np.array([np.mean(list(chain(*own.values()))) if own else -math.inf for own in scores])
    measured = [own for own in scores if own]
    if all(own.keys() == measured[0].keys() for own in measured):
        return means
    order = {split: at for at, split in enumerate(dict.fromkeys(chain(*measured)))}
    values = np.full((len(rows), len(order)), np.nan)
    for place, own in enumerate(scores):
        for split, each in own.items():
            values[place, order[split]] = np.mean(each)
    known = np.isfinite(values)
    shares = known / known.sum(axis=1, keepdims=True).clip(min=1)
    values = np.where(known, values, 0.0)
    # What is left of the splits' equations once the rows' are solved.
    matrix = np.diag(known.sum(axis=0)) - known.T @ shares
    left = np.where(known, values - (values * shares).sum(axis=1, keepdims=True), 0.0)
    ease = np.linalg.pinv(matrix, hermitian=True) @ left.sum(axis=0)
    fair = (shares * (values - ease)).sum(axis=1)
    return np.where(known.any(axis=1), fair, -math.inf)


def _scatter(rows: Sequence[Row], criterion: Criterion) -> Scatter:
    """How far replicates that were tested on the same images scatter, over all rows."""
    variances, freedoms = [], []
    for row in rows:
        values = np.array(row.metric(criterion.test))
        known = np.flatnonzero(np.isfinite(values)).tolist()
        draws = units([row.replicates[index] for index in known])
        alike = {test_images_of(row.runs[index]) for index in known}
        if len(alike) == 1 and draws.shape[1] > 1:
            variances.append(float(np.var(values[known] @ draws, ddof=1)))
            freedoms.append(draws.shape[1] - 1)
    if not variances:
        return NO_SCATTER
    return Scatter(float(np.average(variances, weights=freedoms)), float(sum(freedoms)))


def label_of(keys: Mapping[str, str], named: Sequence[str]) -> str:
    """What tells a configuration apart, as people type it."""
    return " ".join(keys[key] if key == "model" else f"{key}={keys[key]}" for key in named)


def build_rows(
    runs: Iterable[RunRecord],
    read_history: Callable[[RunRecord], History],
    read_predictions: Callable[[RunRecord], Predictions | None],
) -> list[Row]:
    """Group finished runs by configuration; in order of validation, the best first, by what all of
    them were selected by, and where that is equal by `Criterion.tie_break`.

    That is the order of `mean_scores`, to which folds that some rows lack make no difference; then
    by the digest of what was chosen. The test images order those alone that have no validation.

    Args:
        runs: of any status; only finished ones become rows, of one replicate the last of them.
        read_history, read_predictions: fetch what a run saved.
    """
    folded = configurations(with_later_keys(runs))
    firsts = [next(iter(members.values())) for members in folded]
    shown = sort_keys(firsts).shown
    named = [short(key) for key in label_keys(shown, firsts)]
    rows = [
        Row(
            keys={short(key): first.params.get(key, "") for key in shown},
            label_keys=named,
            runs=list(members.values()),
            replicates=list(members),
            histories=[read_history(run) for run in members.values()],
            predictions=[read_predictions(run) for run in members.values()],
        )
        for first, members in zip(firsts, folded, strict=True)
    ]
    seen = Counter[str]()
    for at, row in enumerate(rows):
        seen[row.label] += 1
        rows[at] = replace(row, number=seen[row.label])
    scatters = {name: _scatter(rows, criterion) for name, criterion in CRITERIA.items()}
    rows = [replace(row, scatters=scatters) for row in rows]
    criterion = criterion_of(firsts)

    validated, equal = (
        mean_scores(rows, each.validation, each.sign) for each in (criterion, criterion.tie_break)
    )
    tested = mean_scores(rows, criterion.test, criterion.sign)
    names = [row.runs[0].tags.get("transfer.configuration", "") for row in rows]

    def place(at: int) -> tuple[float, float, str]:
        # Of equals none is chosen by its test images, unless they are all there is.
        others = equal if math.isfinite(validated[at]) else tested
        return -validated[at], -others[at], names[at]

    return [rows[at] for at in sorted(range(len(rows)), key=place)]
