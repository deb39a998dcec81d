"""What the numbers say, in sentences: none without a number, each with its uncertainty."""

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import numpy as np

from transfer.compare.comparison import Comparison, Pair
from transfer.compare.criterion import Criterion
from transfer.compare.keys import is_compared, short
from transfer.compare.rows import Row
from transfer.report import columns
from transfer.report.columns import ACCURACY, difference, of_criterion, p_text, percent, tested
from transfer.report.facts import evaluates_augmented, trains_augmented, validates_apart
from transfer.report.language import Words

# Training accuracy this far above test accuracy, beyond what the test set leaves uncertain.
_OVERFITTING = 0.02
# What a network loses between training and evaluation on the same images: augmentation, and weights
# that still move, make it gain.
_LOST = 0.05
# A class this many times as frequent as in a balanced set.
_UNBALANCED = 1.5
_NAMED = 4
# Of a long table, the upper part is worth sentences, and a few of each kind.
_ROWS = 40
_SENTENCES = 6


def findings(comparison: Comparison, words: Words) -> list[str]:
    """Sentences, the most important first."""
    rows = comparison.rows
    if not ACCURACY.known(rows):
        return [words("finding.no_accuracy", rows=len(rows))]
    return [
        *_winner(comparison, words),
        *_chosen(comparison, words),
        *_unbalanced(rows, words),
        *_cheapest(comparison, words),
        *_changes("freeze_epochs", comparison, words),
        *_changes("tune", comparison, words),
        *_changes("weights", comparison, words),
        *_changes("image_size", comparison, words),
        *_below_validation(rows, words),
        *_lost_in_evaluation(rows, words),
        *_overfitting(rows, words),
        *_stability(rows, words),
    ]


def _score(row: Row, criterion: Criterion, words: Words) -> str:
    """The measure that rows are ordered by, with its interval and what the interval is about."""
    score, text = row.score(criterion), of_criterion(criterion)[0].metric.text
    return words(
        f"score.{score.over}",
        score=words(f"score_by.{criterion.name}", value=text(score.estimate)),
        low=text(score.low),
        high=text(score.high),
        seeds=len(row.runs),
    )


def _difference(pair: Pair, criterion: Criterion, words: Words) -> str:
    """In points or nats, whether it is significant, and by which test."""
    found = pair.difference
    if not math.isfinite(found.estimate):
        return words("difference.unknown")
    test, verdict = tested(pair)
    if test == "none":
        behind = difference(found.estimate, criterion, words)
        return words("difference.untested", difference=behind)
    significant = "reversed" if verdict.kind == "worse" else test
    low, high = (found.low, found.high)[:: criterion.sign]
    return words(
        f"difference.{test}",
        difference=difference(found.estimate, criterion, words),
        low=difference(low, criterion, words),
        high=difference(high, criterion, words),
        by=words(f"test_by.{criterion.name}"),
        seeds=pair.replicates,
        verdict=words(f"verdict.{significant if verdict.significant else 'none'}"),
        p=p_text(verdict.corrected),
    )


def _winner(comparison: Comparison, words: Words) -> Iterator[str]:
    rows, criterion = comparison.rows, comparison.criterion
    yield words("finding.first", label=rows[0].label, score=_score(rows[0], criterion, words))
    if len(rows) == 1:
        return
    second = _difference(comparison.pair(0, 1), criterion, words)
    yield words("finding.second", label=rows[1].label, difference=second)
    equals = [
        rows[pair.second].label
        for pair in comparison.against_best()
        if comparison.ranks[pair.second] == 1 and not tested(pair)[1].significant
    ]
    if equals:
        more = words("and_more", count=len(equals) - _NAMED) if len(equals) > _NAMED else ""
        names = ", ".join(f"`{label}`" for label in equals[:_NAMED]) + more
        yield words("finding.equals", names=names)


def _chosen(comparison: Comparison, words: Words) -> Iterator[str]:
    """The best on the test images was picked by looking at them: which one would have been chosen
    without?"""
    criterion = comparison.criterion
    _, validation = of_criterion(criterion)
    judged = [row for row in validation.known(comparison.rows) if validates_apart(row.params)]
    splits = ("data.seed", "data.validation_fraction", "data.val_folder")
    alike = len({tuple(row.params.get(name) for name in splits) for row in judged}) == 1
    if len(judged) < 2 or not alike:
        return
    chosen = min(judged, key=lambda row: validation.metric.cost(validation.mean(row)))
    found = {"measure": words(f"validation_by.{criterion.name}"), "count": len(judged)}
    if chosen is comparison.rows[0]:
        yield words("finding.chosen", **found)
    else:
        found |= {"label": chosen.label, "score": _score(chosen, criterion, words)}
        yield words("finding.chosen_other", **found)


def _unbalanced(rows: Sequence[Row], words: Words) -> Iterator[str]:
    """Where one class is most of the test images, guessing it looks accurate."""
    known = [row for row in rows if row.answers]
    if not known:
        return
    predictions = known[0].answers[0]
    counts = np.bincount(predictions.labels, minlength=predictions.classes)
    shares = counts / counts.sum()
    if shares.max() < _UNBALANCED / np.count_nonzero(shares):
        return
    # Each class counts alike, whatever its images.
    balanced = [float(np.nanmean(row.class_accuracy)) for row in known]
    best = int(np.argmax(balanced))
    yield words(
        "finding.unbalanced",
        name=predictions.names[int(shares.argmax())],
        share=percent(float(shares.max())),
        label=known[best].label,
        balanced=percent(balanced[best]),
    )


def _cheapest(comparison: Comparison, words: Words) -> Iterator[str]:
    """For a server the accurate, for a phone the cheap: what each step down the front costs."""
    rows = comparison.rows
    front = [index for index, on in enumerate(columns.MACS.front(rows)) if on]
    if not front:
        return
    cheapest = min(front, key=lambda index: columns.MACS.mean(rows[index]))
    best, cheap = rows[0], rows[cheapest]
    if columns.MACS.mean(cheap) < columns.MACS.mean(best):
        yield words(
            "finding.cheapest",
            label=cheap.label,
            macs=columns.MACS.text(cheap),
            share=f"{100 * columns.MACS.mean(cheap) / columns.MACS.mean(best):.0f}",
            best=best.label,
            difference=_difference(comparison.pair(0, cheapest), comparison.criterion, words),
        )
    elif len(rows) > 1:
        yield words("finding.best_is_cheapest", label=best.label, macs=columns.MACS.text(best))


def _changes(key: str, comparison: Comparison, words: Words) -> Iterator[str]:
    """A sentence for each two rows that differ in this key alone."""
    rows = comparison.rows[:_ROWS]
    pairs = (
        (first, second)
        for first, second in combinations(range(len(rows)), 2)
        if {name for name, value in rows[first].keys.items() if value != rows[second].keys[name]}
        == {key}
    )
    for first, second in islice(pairs, _SENTENCES):
        better, other = rows[first], rows[second]
        yield words(
            f"finding.{key}",
            label=better.label_without(key),
            better=better.keys[key],
            other=other.keys[key],
            difference=_difference(comparison.pair(first, second), comparison.criterion, words),
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
    concerned = [row for row in rows if row.below_validation[0]]
    if concerned:
        most = max(concerned, key=lambda row: operator.truediv(*row.below_validation))
        below, epochs = most.below_validation
        harder = trains_augmented(most.params) and not evaluates_augmented(most.params)
        yield words(
            "finding.below",
            rows=len(concerned),
            all=len(rows),
            label=most.label,
            below=below,
            epochs=epochs,
            reason=words("reason.augmented" if harder else "reason.moving"),
        )


def _lost_in_evaluation(rows: Sequence[Row], words: Words) -> Iterator[str]:
    known = columns.LOST.known(rows)
    concerned = [row for row in known if columns.LOST.mean(row) > _LOST]
    if concerned:
        most = max(concerned, key=columns.LOST.mean)
        counts = {"rows": len(concerned), "all": len(known)}
        yield words("finding.lost", label=most.label, points=columns.LOST.text(most), **counts)


def _overfitting(rows: Sequence[Row], words: Words) -> Iterator[str]:
    known = columns.GAP.known(rows)
    if known:
        most = max(known, key=columns.GAP.mean)
        over = sum(columns.GAP.mean(row) - _uncertainty(row) > _OVERFITTING for row in known)
        sentence = "finding.overfits" if over else "finding.no_overfitting"
        gap = columns.GAP.text(most).replace("-", "−")
        yield words(sentence, label=most.label, gap=gap, rows=over, all=len(known))


def _uncertainty(row: Row) -> float:
    """How much higher its accuracy may really be."""
    return row.accuracy.high - row.accuracy.estimate if row.accuracy.known else 0.0


def _stability(rows: Sequence[Row], words: Words) -> Iterator[str]:
    known, text = columns.BATCH_LOSS_STD.known(rows), columns.BATCH_LOSS_STD.text
    # Values that read the same are no finding.
    if len(set(map(text, known))) > 1:
        steady, unsteady = (find(known, key=columns.BATCH_LOSS_STD.mean) for find in (min, max))
        texts = {"least": text(steady), "most": text(unsteady)}
        yield words("finding.stability", steady=steady.label, unsteady=unsteady.label, **texts)
    repeated = [row for row in rows if math.isfinite(ACCURACY.spread(row))]
    if repeated:
        most = max(repeated, key=ACCURACY.spread)
        std = percent(ACCURACY.spread(most))
        yield words("finding.scatter", label=most.label, std=std, seeds=len(most.runs))
