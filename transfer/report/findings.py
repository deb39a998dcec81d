"""What the numbers say, in sentences: none without a number, each with its uncertainty."""

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import numpy as np

from transfer.compare.comparison import Comparison
from transfer.compare.guessing import is_guessing
from transfer.compare.keys import is_compared, short
from transfer.compare.rows import Row
from transfer.compare.screened import Agreement
from transfer.report import columns
from transfer.report.columns import ACCURACY, percent
from transfer.report.facts import evaluates_augmented, trains_augmented
from transfer.report.guessing import guessing_text
from transfer.report.language import Words
from transfer.report.verdicts import (
    counted,
    difference_text,
    has_answer,
    replicate_name,
    replicates_kind,
    verdict_phrase,
)
from transfer.system.markdown import literal

# Training accuracy this far above test accuracy, beyond what the test set leaves uncertain.
_OVERFITTING = 0.02
# What a network loses between training and evaluation on the same images: augmentation, and weights
# that still move, make it gain.
_LOST = 0.05
# A class this many times as frequent as in a balanced set.
_UNBALANCED = 1.5
# Of a long table, the upper part is worth sentences, and a few of each kind.
_ROWS = 40
_SENTENCES = 6


def findings(comparison: Comparison, words: Words, screen: Agreement | None = None) -> list[str]:
    """Sentences beside the answer itself; none where no configuration can be trusted.

    Args:
        screen: how well one before these trainings told what came of them.
    """
    rows = comparison.rows
    if not has_answer(comparison):
        return []
    return [
        *_guessing(rows, words),
        *_lacking(comparison, words),
        *_unbalanced(rows, words),
        *_changes("freeze_epochs", comparison, words),
        *_changes("tune", comparison, words),
        *_changes("weights", comparison, words),
        *_changes("image_size", comparison, words),
        *_below_validation(rows, words),
        *_lost_in_evaluation(rows, words),
        *_overfitting(rows, words),
        *_stability(rows, words),
        *_screen(screen, words),
    ]


def _guessing(rows: Sequence[Row], words: Words) -> Iterator[str]:
    guessing = (row for row in rows if is_guessing(row))
    yield from (guessing_text(row, words) for row in islice(guessing, _SENTENCES))


def _lacking(comparison: Comparison, words: Words) -> Iterator[str]:
    """A row whose hardest fold failed looks better than it is."""
    lacking = zip(comparison.rows, comparison.lacking, strict=True)
    for row, replicates in islice(((row, found) for row, found in lacking if found), _SENTENCES):
        names = [replicate_name(each, comparison.rows) for each in replicates[:_SENTENCES]]
        names += ["…"] * (len(replicates) > _SENTENCES)
        yield words("finding.lacking", label=row.label, replicates=words("comma").join(names))


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
        name=literal(predictions.names[int(shares.argmax())]),
        share=percent(float(shares.max())),
        label=known[best].label,
        balanced=percent(balanced[best]),
    )


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
        one, other = rows[first], rows[second]
        pair = comparison.pair(first, second)
        yield words(
            "finding.change",
            label=one.label_without(key),
            name=key,
            one=literal(one.keys[key]),
            other=literal(other.keys[key]),
            difference=difference_text(pair, comparison.criterion, words),
            verdict=verdict_phrase(pair, words),
            also=_also(one, other, key, words),
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
    # Of what is at chance, it is told there.
    concerned = [row for row in known if columns.LOST.mean(row) > _LOST and not is_guessing(row)]
    if concerned:
        most = max(concerned, key=columns.LOST.mean)
        counts = {"rows": len(concerned), "all": len(known)}
        yield words("finding.lost", label=most.label, points=columns.LOST.text(most), **counts)


def _overfitting(rows: Sequence[Row], words: Words) -> Iterator[str]:
    known = columns.GAP.known(rows)
    if known:
        concerned = [
            row for row in known if columns.GAP.mean(row) - _uncertainty(row) > _OVERFITTING
        ]
        most = max(concerned or known, key=columns.GAP.mean)
        sentence = "finding.overfits" if concerned else "finding.no_overfitting"
        figures = {"gap": columns.GAP.text(most), "rows": len(concerned), "all": len(known)}
        yield words(sentence, label=most.label, **figures)


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
        yield words(
            "finding.scatter",
            rows=len(repeated),
            label=most.label,
            std=percent(ACCURACY.spread(most)),
            count=counted(len(most.runs), rows, words),
            replicates=words(f"replicates.{replicates_kind(rows)}"),
        )


def _screen(found: Agreement | None, words: Words) -> Iterator[str]:
    if found is None:
        return
    others = [words("finding.screen_size", tau=_tau(found.tau_of_size, words))]
    if math.isfinite(found.tau_of_imagenet):
        tau = _tau(found.tau_of_imagenet, words)
        others.append(words("finding.screen_imagenet", tau=tau, count=found.known_on_imagenet))
    kept = "none" if found.dropped == 0 else "lost" if found.dropped_winner else "kept"
    yield words(
        "finding.screen",
        tau=_tau(found.tau, words),
        count=found.candidates,
        others=words("comma").join(others),
        dropped=words(f"finding.screen_{kept}", count=found.dropped),
    )


def _tau(value: float, words: Words) -> str:
    # A minus sign, as elsewhere in the report.
    return f"{value:+.2f}".replace("-", "−") if math.isfinite(value) else words("unknown")
