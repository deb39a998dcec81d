"""What is told of two configurations: how far apart they are, and the two verdicts on them.

A verdict on recipes says which would win again, on new images and after new trainings; one on
networks says which of the two that are at hand to deploy. No sentence is about both.
"""

import math
from collections.abc import Sequence
from typing import Literal

from transfer.compare.comparison import Comparison, Pair
from transfer.compare.criterion import Criterion
from transfer.compare.keys import REPLICATE_KEYS
from transfer.compare.replicates import Replicate
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval
from transfer.compare.verdicts import Verdict
from transfer.report.columns import ACCURACY, lead, with_unit
from transfer.report.language import Words

# Of a replicate's fields.
_KINDS = {"seed": "seed", "data_seed": "split", "fold": "fold"}
_OTHER_WAY = {"better": "worse", "worse": "better"}


def has_answer(comparison: Comparison) -> bool:
    """Whether some configuration that may be chosen has a test accuracy."""
    return bool(ACCURACY.known(comparison.rows))


def verdict_of_second(verdict: Verdict) -> str:
    """A verdict as seen from the second of its two configurations: better, worse, equivalent,
    undecided or unknown."""
    return _OTHER_WAY.get(verdict.kind, verdict.kind)


def verdict_phrase(pair: Pair, words: Words, *, second: bool = False) -> str:
    """What the first of a pair is against the other, or the second: by recipes where that is
    known, else by networks."""
    about, (_, verdict) = _about(pair), told_of(pair)
    if about is None:
        return words("phrase.unknown")
    kind = verdict_of_second(verdict) if second else verdict.kind
    return words(f"phrase.{about}.{kind}")


def missing_text(verdict: Verdict, pair: Pair, rows: Sequence[Row], words: Words) -> str:
    """What an unknown verdict on a pair of rows lacks."""
    if verdict.missing in ("answers", "images"):
        return words(f"few.{verdict.missing}")
    alone = min(len(rows[index].runs) for index in (pair.first, pair.second)) == 1
    return words(f"{'one' if alone else 'few'}.{replicates_kind(rows)}")


def told_of(pair: Pair) -> tuple[Interval, Verdict]:
    """How much better the first of a pair is, and the verdict that this is about: of the recipes,
    or where nothing is known of them, of the networks; where neither is, an unknown verdict."""
    if _about(pair) == "network":
        return pair.network_difference, pair.network
    return pair.difference, pair.recipe


def _about(pair: Pair) -> Literal["recipe", "network"] | None:
    if pair.recipe.kind != "unknown":
        return "recipe"
    return None if pair.network.kind == "unknown" else "network"


def difference_text(pair: Pair, criterion: Criterion, words: Words, *, second: bool = False) -> str:
    """How much better the first of a pair is than the other, or the second, with its interval: of
    what the verdict beside it is about."""
    found, _ = told_of(pair)
    sign = -1 if second else 1
    if not math.isfinite(found.estimate):
        return words("difference.unknown")
    estimate = with_unit(lead(sign * found.estimate, criterion), criterion, words)
    if not found.known:
        return estimate
    low, high = (lead(bound, criterion) for bound in sorted((sign * found.low, sign * found.high)))
    return words("difference.interval", difference=estimate, low=low, high=high)


def replicates_kind(rows: Sequence[Row]) -> str:
    """What the trainings of a configuration differ in: "seed", "split" or "fold", or where it is
    several of them "replicate"."""
    varied = {
        name
        for row in rows
        for name, kind in _KINDS.items()
        if len({getattr(replicate, name) for replicate in row.replicates}) > 1
    }
    return _KINDS[varied.pop()] if len(varied) == 1 else "replicate" if varied else "seed"


def replicate_name(replicate: Replicate, rows: Sequence[Row]) -> str:
    """A replicate by what the trainings of these rows differ in: `data.fold=2`."""
    every = [each for row in rows for each in row.replicates]
    differing = [
        place for place, values in enumerate(zip(*every, strict=True)) if len({*values}) > 1
    ]
    named = (f"{REPLICATE_KEYS[place]}={replicate[place]}" for place in differing)
    return f"`{' '.join(named)}`"


def counted(count: int, rows: Sequence[Row], words: Words, *, more: bool = False) -> str:
    """So many replicates, or so many more, by what these are here."""
    number = "single" if count == 1 else "several"
    parts = {"count": count, "more": words("more") if more else ""}
    return words(f"{number}.{replicates_kind(rows)}", **parts)


def chance(probability: float) -> str:
    """In percent; what is not certain is not told as if it were."""
    if not math.isfinite(probability):
        return "–"
    if 0.5 < 100 * probability < 99.5:
        return f"{100 * probability:.0f}"
    return "< 1" if probability < 0.5 else "> 99"
