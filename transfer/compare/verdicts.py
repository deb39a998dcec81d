"""What tests make of differences: better, worse, equivalent, or not decided."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from transfer.compare.statistics import CONFIDENCE, Floats, holm

Kind = Literal["better", "worse", "equivalent", "undecided", "unknown"]
Missing = Literal["replicates", "answers", "images"]


@dataclass(frozen=True)
class Verdict:
    """What a test makes of two things compared, seen from the first.

    Attributes:
        kind: "better" or "worse" where the corrected p-value is below 0.05; "equivalent" where the
            90 % interval of the difference lies within the bounds that count as none; "undecided"
            where neither is so; "unknown" where nothing could be tested.
        p_value: two-sided, that there is no difference; NaN where unknown.
        corrected: the same after Holm's correction over all pairs of the comparison.
        missing: what an unknown one lacks: "replicates" where fewer than two are in common,
            "answers" where it was not kept how these did on each test image, "images" where no
            test images are in common; None for the others.
    """

    kind: Kind
    p_value: float = math.nan
    corrected: float = math.nan
    missing: Missing | None = None

    @property
    def significant(self) -> bool:
        return self.kind in ("better", "worse")


class Verdicts:
    """Those of all pairs of R rows; matrices, for a thousand rows are many pairs.

    Attributes:
        lead: [R, R], by how much the row is better than the column.
        p_value, corrected: [R, R], symmetric; NaN where unknown.
        tested: how many pairs have a p-value.
        undecided: how many of these are neither different nor equivalent.
    """

    def __init__(self, lead: Floats, p_value: Floats, equivalence: Floats, within: float) -> None:
        """Correct p-values and find what is equivalent.

        Args:
            lead, p_value: [R, R], of which the upper triangle is read.
            equivalence: [R, R], the two-sided p-values that differences are as large as `within`.
            within: differences smaller than this count as none.
        """
        upper = np.triu(np.isfinite(p_value), k=1)
        self.lead = lead
        self.p_value = np.where(upper, p_value, np.nan)
        self.corrected = np.full_like(p_value, np.nan)
        self.corrected[upper] = holm(p_value[upper])
        # Both one-sided tests at 5 % (Schuirmann 1987): the 90 % interval lies within the bounds.
        self._equivalent = (np.abs(lead) < within) & (equivalence <= 2 * (1 - CONFIDENCE))
        self.tested = int(upper.sum())
        left = upper & ~(self.corrected < 1 - CONFIDENCE) & ~self._equivalent
        self.undecided = int(left.sum())

    def verdict(self, first: int, second: int) -> Verdict:
        """Return that on two rows, the smaller index first."""
        p_value, corrected = (float(each[first, second]) for each in (self.p_value, self.corrected))
        if not math.isfinite(p_value):
            return Verdict("unknown")
        kind: Kind = "undecided"
        if corrected < 1 - CONFIDENCE:
            kind = "better" if self.lead[first, second] > 0 else "worse"
        elif self._equivalent[first, second]:
            kind = "equivalent"
        return Verdict(kind, p_value, corrected)

    def ranks(self) -> list[int | None]:
        """One more than the number of rows that are significantly better; None for a row without
        any test."""
        known = np.isfinite(self.p_value)
        first, second = np.nonzero(np.nan_to_num(self.corrected, nan=1.0) < 1 - CONFIDENCE)
        beaten = np.where(self.lead[first, second] > 0, second, first)
        counts: list[int] = (1 + np.bincount(beaten, minlength=len(self.lead))).tolist()
        tested = np.logical_or(known.any(axis=0), known.any(axis=1))
        return [count if each else None for count, each in zip(counts, tested, strict=True)]
