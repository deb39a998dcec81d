"""Which configurations differ significantly, and the ranks that follow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from transfer.compare.criterion import criterion_of
from transfer.compare.decision import Decision, decide
from transfer.compare.networks import Networks
from transfer.compare.recipes import Recipes
from transfer.compare.replicates import Replicate
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval
from transfer.compare.verdicts import Verdict, Verdicts


@dataclass(frozen=True)
class Pair:
    """Two configurations compared.

    Attributes:
        first, second: which rows; the first was the better one on validation images.
        difference: how much better the first is than the second by the comparison's criterion
            (-1 to 1 for accuracies), over the replicates that both have; with its 95 % interval
            over replicates and test images both, without bounds for fewer than two of them.
        replicates: how many both have.
        recipe: which recipe would win again, by other replicates and on other test images?
        network: which of the two networks should be used, on other test images? Of each row it is
            the one that `Comparison.networks` says.
        network_difference: how much better the first of these networks is than the other, with its
            95 % interval over test images; NaN where they were not tested on the same ones.
    """

    first: int
    second: int
    difference: Interval
    replicates: int
    recipe: Verdict
    network: Verdict
    network_difference: Interval


class Comparison:
    """Every pair of rows, and the rank of each row.

    Attributes:
        rows: the sound ones, in order of validation by the criterion, the best first.
        unsound: those whose test images steered their training, or were not seen as they are.
        criterion: the measure that all of them were selected by; else accuracy.
        ranked_by: what the ranks are about: recipes where the first row has replicates in common
            with another, else networks; "nothing" where neither could be tested.
        ranks: of each row, from 1: one more than the number of rows that are significantly better;
            None for a row that could not be tested.
        tested: how many pairs have a verdict of that kind.
        networks: of each row, which of its runs gave the network that is compared: the one that was
            best on validation images; where folds or splits have test images of their own, of those
            that were tested on the images of the first row's best one, if there are any.
        lacking: of each row, the replicates that more than half of the others have and it has not,
            in order.
        equivalent_within: differences smaller than this count as none.
    """

    def __init__(self, rows: Sequence[Row], equivalent_within: float = 0.01) -> None:
        self.criterion = criterion_of(run for row in rows for run in row.runs)
        self.rows = [row for row in rows if row.sound]
        self.unsound = [row for row in rows if not row.sound]
        self.equivalent_within = equivalent_within
        self._recipes = Recipes(self.rows, self.criterion)
        self._networks = Networks(self.rows, self.criterion)
        self._by_recipe = Verdicts(
            self._recipes.found.mean,
            self._recipes.p_values(),
            self._recipes.equivalence_p_values(equivalent_within),
            equivalent_within,
        )
        self._by_network = Verdicts(
            self._networks.lead,
            self._networks.p_value,
            self._networks.equivalence_p_values(equivalent_within),
            equivalent_within,
        )
        self.ranked_by: Literal["recipe", "network", "nothing"] = "nothing"
        ranking = None
        # Recipes that were repeated, below a first one that was not, say nothing of which to take.
        if self._by_recipe.ranks()[:1] not in ([], [None]):
            self.ranked_by, ranking = "recipe", self._by_recipe
        elif self._by_network.tested:
            self.ranked_by, ranking = "network", self._by_network
        # Alone, a row is the best one.
        untested: list[int | None] = [1 if len(self.rows) == 1 else None] * len(self.rows)
        self.ranks = untested if ranking is None else ranking.ranks()
        self.networks = self._networks.runs
        self.lacking = _lacking(self.rows)
        self.tested = 0 if ranking is None else ranking.tested

    def pair(self, first: int, second: int) -> Pair:
        """Two rows by their indices, the smaller one first."""
        return Pair(
            first,
            second,
            self._recipes.interval(first, second),
            int(self._recipes.replicates[first, second]),
            self._recipe(first, second),
            self._network(first, second),
            self._networks.interval(first, second),
        )

    def _recipe(self, first: int, second: int) -> Verdict:
        found = self._by_recipe.verdict(first, second)
        if found.kind != "unknown":
            return found
        repeated = self._recipes.draws[first, second] > 1
        return replace(found, missing="answers" if repeated else "replicates")

    def _network(self, first: int, second: int) -> Verdict:
        found = self._by_network.verdict(first, second)
        if found.kind != "unknown":
            return found
        images = self._networks.images
        kept = images[first] > 0 and images[second] > 0
        return replace(found, missing="images" if kept else "answers")

    @cached_property
    def decision(self) -> Decision | None:
        """What to take, and how sure that is; None without a sound row."""
        if not self.rows:
            return None
        by_recipe = self.ranked_by == "recipe"
        verdicts = self._by_recipe if by_recipe else self._by_network
        return decide(
            self.rows,
            self.criterion,
            self._recipes,
            self._networks,
            verdicts,
            about="recipe" if by_recipe else "network",
            within=self.equivalent_within,
        )


def _lacking(rows: Sequence[Row]) -> list[list[Replicate]]:
    had = Counter(replicate for row in rows for replicate in row.replicates)
    usual = sorted(each for each, count in had.items() if 2 * count > len(rows) - 1)
    return [[each for each in usual if each not in row.replicates] for row in rows]
