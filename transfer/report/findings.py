"""What the numbers say, in sentences: none without a number, each with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from transfer.compare.comparison import Comparison, Pair
from transfer.compare.keys import is_compared, short
from transfer.compare.pareto import pareto_front
from transfer.compare.rows import Row
from transfer.report.columns import COSTS, SCORES, deviation, percent
from transfer.report.facts import evaluates_augmented, trains_augmented, validates_apart
from transfer.report.language import Words

# Training accuracy this far above test accuracy, beyond what the test set leaves uncertain.
_OVERFITTING = 0.02
# A class this many times as frequent as in a balanced set.
_UNBALANCED = 1.5
_NAMED = 4
_VALIDATION = next(column for column in SCORES if column.name == "best/val_acc")
# Of a long table, the upper part is worth sentences, and a few of each kind.
_ROWS = 40
_SENTENCES = 6


def findings(rows: Sequence[Row], comparison: Comparison, words: Words) -> list[str]:
    """Sentences, the most important first; rows stand best first."""
    if not any(math.isfinite(row.accuracy.estimate) for row in rows):
        return [words("finding.no_accuracy", rows=len(rows))]
    return [
        *_winner(rows, comparison, words),
        *_chosen(rows, words),
        *_unbalanced(rows, words),
        *_cheapest(rows, comparison, words),
        *_changes("freeze_epochs", "finding.freeze", rows, comparison, words),
        *_changes("weights", "finding.weights", rows, comparison, words),
        *_changes("image_size", "finding.size", rows, comparison, words),
        *_below_validation(rows, words),
        *_overfitting(rows, words),
        *_stability(rows, words),
    ]


def accuracy_text(row: Row, words: Words) -> str:
    """Accuracy in percent with its interval and what the interval is about."""
    accuracy = row.accuracy
    if not accuracy.known:
        return words("accuracy.alone", accuracy=percent(accuracy.estimate))
    return words(
        f"accuracy.{row.interval_over}",
        accuracy=percent(accuracy.estimate),
        low=percent(accuracy.low),
        high=percent(accuracy.high),
        seeds=len(row.runs),
    )


def difference_text(pair: Pair, words: Words) -> str:
    """A difference in points, whether it is more than noise, and by which test."""
    if not math.isfinite(pair.difference.estimate):
        return words("difference.unknown")
    difference = pair.difference.estimate if pair.test == "none" else pair.lead
    points = f"{100 * difference:+.2f}".replace("-", "−")
    if pair.test == "none":
        return words("difference.untested", points=points)
    apart = "verdict.images" if pair.test == "images" else "verdict.apart"
    if pair.lead < 0:
        apart = "verdict.reversed"
    verdict = words(apart if pair.significant else "verdict.same")
    if pair.test == "images":
        return words("difference.images", points=points, verdict=verdict, p=p_text(pair.corrected))
    return words(
        "difference.seeds",
        points=points,
        low=f"{100 * pair.difference.low:+.2f}".replace("-", "−"),
        high=f"{100 * pair.difference.high:+.2f}".replace("-", "−"),
        seeds=pair.seeds,
        verdict=verdict,
        p=p_text(pair.corrected),
    )


def p_text(value: float) -> str:
    """A p-value as one writes it: none is 0."""
    if not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _winner(rows: Sequence[Row], comparison: Comparison, words: Words) -> Iterator[str]:
    yield words("finding.first", label=rows[0].label, accuracy=accuracy_text(rows[0], words))
    if len(rows) == 1:
        return
    second = difference_text(comparison.pair(0, 1), words)
    yield words("finding.second", label=rows[1].label, difference=second)
    equals = [
        row.label
        for place, row in enumerate(rows)
        if place and comparison.ranks[place] == 1 and comparison.pair(0, place).test != "none"
    ]
    if equals:
        more = words("and_more", count=len(equals) - _NAMED) if len(equals) > _NAMED else ""
        names = ", ".join(f"`{label}`" for label in equals[:_NAMED]) + more
        yield words("finding.equals", names=names)


def _chosen(rows: Sequence[Row], words: Words) -> Iterator[str]:
    """The best on the test images was picked by looking at them: which one would have been chosen
    without?"""
    judged = [row for row in rows if validates_apart(row) and math.isfinite(_VALIDATION.mean(row))]
    splits = ("data.seed", "data.validation_fraction", "data.val_folder")
    alike = len({tuple(row.params.get(name) for name in splits) for row in judged}) == 1
    if len(judged) < 2 or not alike:
        return
    chosen = max(judged, key=_VALIDATION.mean)
    if chosen is rows[0]:
        yield words("finding.chosen", count=len(judged))
    else:
        found = {"label": chosen.label, "accuracy": accuracy_text(chosen, words)}
        yield words("finding.chosen_other", count=len(judged), **found)


def _unbalanced(rows: Sequence[Row], words: Words) -> Iterator[str]:
    """Where one class is most of the test images, guessing it looks accurate."""
    known = [row for row in rows if len(row.class_accuracy)]
    if not known:
        return
    [predictions, *_] = [each for each in known[0].predictions if each is not None]
    counts = np.bincount(predictions.labels, minlength=predictions.classes)
    shares = counts / counts.sum()
    if shares.max() < _UNBALANCED / np.count_nonzero(shares):
        return
    # Each class counts alike, whatever its images.
    balanced = [float(np.nanmean(row.class_accuracy)) for row in known]
    place = int(np.argmax(balanced))
    yield words(
        "finding.unbalanced",
        name=predictions.names[int(shares.argmax())],
        share=percent(float(shares.max())),
        label=known[place].label,
        balanced=percent(balanced[place]),
    )


def _cheapest(rows: Sequence[Row], comparison: Comparison, words: Words) -> Iterator[str]:
    """For a server the accurate, for a phone the cheap: what each step down the front costs."""
    macs = next(column for column in COSTS if column.name == "profile/macs")
    accuracies = [row.accuracy.estimate for row in rows]
    front = pareto_front(accuracies, [macs.mean(row) for row in rows])
    best, cheap = rows[0], [row for row, on in zip(rows, front, strict=True) if on][-1:]
    if not cheap or macs.mean(cheap[0]) >= macs.mean(best):
        if cheap and len(rows) > 1:
            yield words(
                "finding.best_is_cheapest", label=best.label, macs=macs.text(macs.mean(best))
            )
        return
    place = rows.index(cheap[0])
    yield words(
        "finding.cheapest",
        label=cheap[0].label,
        macs=macs.text(macs.mean(cheap[0])),
        share=f"{100 * macs.mean(cheap[0]) / macs.mean(best):.0f}",
        best=best.label,
        difference=difference_text(comparison.pair(0, place), words),
    )


def _changes(
    key: str, sentence: str, rows: Sequence[Row], comparison: Comparison, words: Words
) -> Iterator[str]:
    """One sentence for each two rows that differ in this key alone."""
    if key not in rows[0].keys:
        return
    said = 0
    for first, second in combinations(range(min(len(rows), _ROWS)), 2):
        better, other = rows[first], rows[second]
        differing = {name for name in better.keys if better.keys[name] != other.keys[name]}
        if differing == {key} and said < _SENTENCES:
            said += 1
            yield words(
                sentence,
                label=better.label_without(key),
                better=better.keys[key],
                other=other.keys[key],
                difference=difference_text(comparison.pair(first, second), words),
                also=_also(better, other, key, words),
            )


def _also(one: Row, other: Row, key: str, words: Words) -> str:
    """What else differs between two rows, though no column shows it, since it comes with `key`."""
    names = sorted(one.params.keys() | other.params.keys())
    differing = [
        f"`{short(name)}`"
        for name in names
        if name != key and is_compared(name) and one.params.get(name) != other.params.get(name)
    ]
    return words("finding.also", names=", ".join(differing)) if differing else ""


def _below_validation(rows: Sequence[Row], words: Words) -> Iterator[str]:
    counts = []
    for row in rows:
        train, validation = row.by_epoch("train/acc"), row.by_epoch("val/acc")
        if not train.empty and not validation.empty:
            epochs_below = train.mean(axis=1) < validation.mean(axis=1)
            counts.append((row, int(epochs_below.sum()), len(epochs_below)))
    if any(below for _, below, _ in counts):
        most, below, epochs = max(counts, key=lambda item: item[1] / item[2])
        harder = trains_augmented(most) and not evaluates_augmented(most)
        yield words(
            "finding.below",
            rows=sum(1 for _, each, _ in counts if each),
            all=len(rows),
            label=most.label,
            below=below,
            epochs=epochs,
            reason=words("reason.augmented" if harder else "reason.moving"),
        )


def _overfitting(rows: Sequence[Row], words: Words) -> Iterator[str]:
    gaps = [(_mean(row.generalisation_gap()), row) for row in rows]
    known = [(gap, row) for gap, row in gaps if math.isfinite(gap)]
    if not known:
        return
    gap, row = max(known, key=lambda item: item[0])
    over = sum(1 for each, row in known if each - _uncertainty(row) > _OVERFITTING)
    sentence = "finding.overfits" if over else "finding.no_overfitting"
    text = f"{100 * gap:.2f}".replace("-", "−")
    yield words(sentence, label=row.label, gap=text, rows=over, all=len(known))


def _uncertainty(row: Row) -> float:
    """How much higher its accuracy may really be."""
    return row.accuracy.high - row.accuracy.estimate if row.accuracy.known else 0.0


def _stability(rows: Sequence[Row], words: Words) -> Iterator[str]:
    spreads = [(_mean(row.loss_spread()), row) for row in rows]
    known = [(spread, row) for spread, row in spreads if math.isfinite(spread)]
    # Spreads that read the same are no finding.
    if len({f"{spread:.3f}" for spread, _ in known}) > 1:
        (least, steady), (most, unsteady) = min(known, key=_first), max(known, key=_first)
        yield words(
            "finding.stability",
            steady=steady.label,
            least=f"{least:.3f}",
            unsteady=unsteady.label,
            most=f"{most:.3f}",
        )
    scatter = [(deviation(row.metric("test/acc")), row) for row in rows]
    repeated = [(each, row) for each, row in scatter if math.isfinite(each)]
    if repeated:
        most, row = max(repeated, key=_first)
        yield words(
            "finding.scatter", label=row.label, std=f"{100 * most:.2f}", seeds=len(row.runs)
        )


def _first(item: tuple[float, Row]) -> float:
    return item[0]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
