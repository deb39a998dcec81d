"""What others may come to, from what some configurations came to."""

import statistics
from collections.abc import Sequence

from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.tunings import Candidate, Tuning
from transfer.sweep.choose.worth import OF_KNOWN_KIND, SCATTER, Prospect

# The best that there is, as another training of it would have it.
_OF_BEST = 0.02


class Outlook:
    """What is expected of further configurations.

    Args:
        candidates: of the menu.
        known: what has finished, with the merit that it has; where nothing has, all that is
            expected is what was planned with.
    """

    def __init__(
        self, candidates: Sequence[Candidate], known: Sequence[tuple[Attempt, float]]
    ) -> None:
        self._candidates = candidates
        ordered = sorted(known, key=lambda each: -each[1])
        self.in_order = [each for each, _ in ordered]
        self.standing = [Prospect(merit, _OF_BEST) for _, merit in ordered[:1]]
        # By how much each came out better than a probe and what its tuning was expected to add.
        self._beyond = [(each, tuning_of(each), merit - self._gain(each)) for each, merit in known]

    def _gain(self, attempt: Attempt) -> float:
        return self._candidates[attempt.candidate].gain(tuning_of(attempt), attempt.epochs)

    def prospect(self, place: int, tuning: Tuning, epochs: int) -> Prospect:
        """What a configuration may come to.

        Args:
            place: of its candidate.
        """
        candidate = self._candidates[place]
        gain = candidate.gain(tuning, epochs)
        if not self._beyond:
            return Prospect(candidate.merit + gain, SCATTER)
        own = [(known, found) for each, known, found in self._beyond if each.candidate == place]
        alike = [found for known, found in own if _kind(known) == _kind(tuning)]
        if alike:
            return Prospect(statistics.mean(alike) + gain, OF_KNOWN_KIND)
        if own:
            return Prospect(statistics.mean(found for _, found in own) + gain, SCATTER)
        # By how much all came out better than their probes.
        others = [found - self._candidates[each.candidate].merit for each, _, found in self._beyond]
        return Prospect(candidate.merit + statistics.mean(others) + gain, SCATTER)


def tuning_of(attempt: Attempt) -> Tuning:
    """The tuning of a configuration."""
    return Tuning(attempt.kind, tuple(attempt.overrides), attempt.handicap)


def _kind(tuning: Tuning) -> tuple[str, bool]:
    return tuning.tune, tuning.views > 0
