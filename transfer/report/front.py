"""What is read in ten seconds: which network to take, how sure that is and what it costs."""

import math
from collections.abc import Sequence

from transfer.compare.comparison import Comparison
from transfer.compare.criterion import CRITERIA, Criterion
from transfer.compare.decision import MOST_GIVEN_UP, Decision
from transfer.compare.guessing import chance_of, is_guessing
from transfer.compare.rows import Row
from transfer.report.columns import (
    COSTS,
    MACS,
    TIME,
    of_criterion,
    percent,
    score_of,
    size,
    with_unit,
)
from transfer.report.document import Box
from transfer.report.guessing import why_guessing
from transfer.report.language import Words
from transfer.report.verdicts import (
    chance,
    counted,
    difference_text,
    has_answer,
    missing_text,
    replicates_kind,
    verdict_phrase,
)

# The costs that its line names.
_TOLD = ("profile/macs", "profile/latency_ms", "profile/size_mb")


def front(comparison: Comparison, words: Words) -> Box:
    """The answer of a comparison, in at most six lines."""
    rows, decision = comparison.rows, comparison.decision
    if not rows and not comparison.unsound:
        return nothing_finished(words)
    if not rows:
        return Box([words("front.unsound", rows=len(comparison.unsound))])
    if decision is None or not has_answer(comparison):
        return Box([words("front.no_accuracy", rows=len(rows))])
    if is_guessing(rows[decision.chosen]):
        lines = _no_choice(comparison, decision, words)
        return Box([line for line in lines if line])
    lines = [
        _take(comparison, decision, words),
        _small(comparison, decision, words),
        _sure(comparison, decision, words),
        _cost(rows[decision.chosen], words),
        _surer(comparison, decision, words),
        _favourite(comparison, decision, words),
    ]
    return Box([line for line in lines if line])


def nothing_finished(words: Words) -> Box:
    """The answer where no configuration is there."""
    return Box([words("front.nothing")])


def duration(seconds: float, words: Words) -> str:
    """A time as one says it: in seconds, minutes or hours."""
    if seconds < 100:
        return words("time.s", value=f"{seconds:.0f}")
    if seconds < 100 * 60:
        return words("time.min", value=f"{seconds / 60:.0f}")
    return words("time.h", value=f"{seconds / 3600:.0f}")


def _take(comparison: Comparison, decision: Decision, words: Words) -> str:
    rows, row = comparison.rows, comparison.rows[decision.chosen]
    key = "front.take" if len(rows) > 1 else "front.only"
    score = _score(row, comparison.criterion, words)
    return words(key, label=row.label, count=len(rows), score=score)


def _score(row: Row, criterion: Criterion, words: Words) -> str:
    score, text = score_of(row, criterion), of_criterion(criterion)[0].metric.text
    return words(
        "front.score" if score.known else "front.score_alone",
        score=words(f"score_by.{criterion.name}", value=text(score.estimate)),
        low=text(score.low),
        high=text(score.high),
    )


def _no_choice(comparison: Comparison, decision: Decision, words: Words) -> list[str]:
    """What is told where the best on validation is at chance: nothing to take, and why."""
    row = comparison.rows[decision.chosen]
    parts = {
        "label": row.label,
        "count": len(comparison.rows),
        # Whatever chose it: what guessing scores is an accuracy.
        "score": _score(row, CRITERIA["acc"], words),
        "chance": percent(chance_of(row)),
    }
    lines = [
        words("front.guessing" if len(comparison.rows) > 1 else "front.guessing_only", **parts),
        words("front.guessing_why", why=why_guessing(row, words)),
    ]
    better = not is_guessing(comparison.rows[decision.favourite])
    return [*lines, _favourite(comparison, decision, words) if better else ""]


def _small(comparison: Comparison, decision: Decision, words: Words) -> str:
    rows, small = comparison.rows, decision.small
    if small is None or len(rows) == 1:
        return ""
    chosen = rows[decision.chosen]
    if small == decision.chosen:
        least = chosen.accuracy.estimate - MOST_GIVEN_UP
        cheaper = (row for row in rows if MACS.mean(row) < MACS.mean(chosen))
        near = any(row.accuracy.estimate >= least for row in cheaper)
        key = "front.small_guessing" if near else "front.small_same"
        return words(key, points=f"{100 * MOST_GIVEN_UP:.0f}")
    mine, its = MACS.mean(chosen), MACS.mean(rows[small])
    pair = comparison.pair(decision.chosen, small)
    return words(
        "front.small",
        label=rows[small].label,
        macs=MACS.text(rows[small]),
        share=f"{100 * its / mine:.0f}",
        difference=difference_text(pair, comparison.criterion, words, second=True),
        verdict=verdict_phrase(pair, words, second=True),
    )


def _sure(comparison: Comparison, decision: Decision, words: Words) -> str:
    rows, criterion = comparison.rows, comparison.criterion
    loss, probability = decision.expected_loss, decision.probability_best[decision.chosen]
    if len(rows) == 1:
        return ""
    sentences = []
    if decision.rival and decision.verdict and decision.verdict.kind == "worse":
        rival = rows[decision.rival].label
        sentences.append(words(f"front.contradicted.{decision.about}", rival=rival))
    if math.isfinite(probability) and math.isfinite(loss.estimate):
        all_of_them = len(decision.probability_best) == len(rows)
        of_which = f"front.count.{decision.about if all_of_them else 'upper'}"
        sentence = words(
            f"front.sure.{decision.about}",
            chance=chance(probability),
            count=words(of_which, count=len(decision.probability_best)),
            loss=with_unit(size(loss.estimate, criterion), criterion, words),
            low=size(loss.low, criterion),
            high=size(loss.high, criterion),
        )
        sentences.append(sentence)
    if decision.about == "network":
        pair = comparison.pair(decision.chosen, decision.rival or 1)
        why = missing_text(pair.recipe, pair, rows, words)
        sentences.append(words("front.one", why=why))
    return words("front.sure", sentences=" ".join(sentences)) if sentences else ""


def _cost(row: Row, words: Words) -> str:
    found = [column for column in COSTS if column.name in _TOLD and column.known([row])]
    parts = [words(f"cost.{column.name}", value=column.text(row)) for column in found]
    if TIME.known([row]):
        time = duration(TIME.mean(row), words)
        parts.insert(0, words("cost.time/train_s", value=time))
    return words("front.cost", parts=words("comma").join(parts)) if parts else ""


def _surer(comparison: Comparison, decision: Decision, words: Words) -> str:
    rows, rival = comparison.rows, decision.rival
    if rival is None:
        return ""
    label = rows[rival].label
    verdict = decision.verdict.kind if decision.verdict else "unknown"
    if decision.needs == "nothing":
        # The verdict is on recipes, or more trainings would still tell something.
        decided = "front.more_validation" if verdict == "worse" else f"front.decided.{verdict}"
        parts = words(decided, rival=label)
    elif decision.needs == "unknown":
        parts = words("front.surer_unknown")
    elif decision.needs == "images":
        folds = any(each.fold >= 0 for row in rows for each in row.replicates)
        replicates = words(f"replicates.{replicates_kind(rows)}")
        # Of folds, every image is a test image.
        key = f"front.surer_images.{'folds' if folds else 'test'}"
        parts = words(key, replicates=replicates, rival=label)
    else:
        parts = _more(decision, rows, label, words)
    return words("front.surer", parts=parts)


def _more(decision: Decision, rows: Sequence[Row], rival: str, words: Words) -> str:
    """How many more trainings of either would decide, and what these cost."""
    mine, its = (counted(count, rows, words, more=True) for count in decision.more_of)
    if mine == its:
        more = words("front.more", count=mine, rival=rival)
    elif all(decision.more_of):
        more = words("front.more_each", mine=mine, its=its, rival=rival)
    else:
        alone = "front.more_mine" if decision.more_of[0] else "front.more_its"
        more = words(alone, mine=mine, its=its, rival=rival)
    parts = [words("front.another_split", more=more) if decision.needs == "splits" else more]
    if math.isfinite(decision.more_seconds):
        parts.append(words("cost.time/train_s", value=duration(decision.more_seconds, words)))
    if decision.assumed:
        parts.append(words("front.assumed"))
    return words("comma").join(parts)


def _favourite(comparison: Comparison, decision: Decision, words: Words) -> str:
    """What was best on the test images, where that is another: picked by looking at them."""
    if decision.favourite == decision.chosen:
        return ""
    row = comparison.rows[decision.favourite]
    score = score_of(row, comparison.criterion).estimate
    value = of_criterion(comparison.criterion)[0].metric.text(score)
    text = words(f"score_by.{comparison.criterion.name}", value=value)
    return words("front.favourite", label=row.label, score=text)
