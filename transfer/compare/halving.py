"""Which configurations of a sweep are dropped at a rung, before they have trained all their epochs.

Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and
hyperparameter optimization", AISTATS) keeps a fixed share at each rung, whatever that costs. Racing
(Maron and Moore 1994, "Hoeffding races", NeurIPS 6; Birattari et al. 2002, "A racing algorithm for
configuring metaheuristics", GECCO) drops only what is behind beyond doubt. Here the doubt is that
of the report, on validation images: replicates and images as crossed factors where there are
several replicates, and McNemar's exact test where there is one.

The chance that any configuration is dropped which is not worse than the one that drops it is at
most `risk`: each of the K (K - 1) / 2 pairs may be the one in question, for the best is found on
the same images, and at each rung anew, so each comparison is made at the level risk / (pairs x
rungs) (Bonferroni). Worse means: at this epoch. Of curves that cross later it says nothing. With
one replicate of each it is about these very networks, as a McNemar test is: how far a recipe
scatters over seeds only several seeds say.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from transfer.compare.criterion import Criterion, criterion_of
from transfer.compare.networks import Networks
from transfer.compare.recipes import Recipes
from transfer.compare.replicates import fold
from transfer.compare.rows import Row, mean_scores
from transfer.compare.statistics import Floats
from transfer.tracking.artifacts import NO_HISTORY
from transfer.tracking.find import RunRecord
from transfer.tracking.standing import Standing

_CONFIGURATION = "transfer.configuration"


@dataclass(frozen=True)
class Rule:
    """How the losers of a rung are found.

    Attributes:
        keep: "paired", all that is not behind the best beyond doubt; or "share", one of `eta`.
        eta: above 1.
        risk: the chance to drop anything that is not worse, over all rungs: above 0, below 1.
        configurations: of the whole sweep.
        rungs: of the whole sweep, at which some may be dropped.
    """

    keep: str
    eta: float
    risk: float
    configurations: int
    rungs: int

    @property
    def level(self) -> float:
        """The largest two-sided p-value of a difference that counts."""
        pairs = self.configurations * (self.configurations - 1) // 2
        return self.risk / max(pairs * self.rungs, 1)


@dataclass(frozen=True)
class Fall:
    """Why a configuration is dropped.

    Attributes:
        best: the configuration that is the best at this rung.
        behind: how far this one is behind it by the criterion, above 0: a fraction of accuracy, or
            nats.
    """

    best: str
    behind: float


@dataclass(frozen=True)
class Place:
    """Where a configuration stands at a rung.

    Attributes:
        name: as `find_losers` calls it.
        runs: the ids of its runs.
        behind: how far its mean is behind that of the first one, as `Fall` has it; 0 for that.
    """

    name: str
    runs: Sequence[str]
    behind: float


def find_losers(standings: Iterable[tuple[RunRecord, Standing]], rule: Rule) -> dict[str, Fall]:
    """The configurations to drop at a rung; never the best.

    Replicates of one configuration are judged together, over those that both it and the best have;
    it is called by the tag of its first one.

    Args:
        standings: of each run that is in the race and has come to the rung, with its parameters and
            the tag of its configuration; all validated on images of the same data set.
    """
    rows, means, criterion = _in_order(standings)
    if len(rows) < 2:
        return {}
    if rule.keep == "share":
        kept = max(math.ceil(len(rows) / rule.eta), 1)
        behind = {at: float(means[0] - means[at]) for at in range(kept, len(rows))}
    else:
        behind = _surely_behind(rows, criterion, rule.level)
    return {_name(rows[at]): Fall(_name(rows[0]), lead) for at, lead in behind.items()}


def places(standings: Iterable[tuple[RunRecord, Standing]]) -> list[Place]:
    """The configurations at a rung in order of their validation scores, the best first.

    Args:
        standings: as of `find_losers`.
    """
    rows, means, _ = _in_order(standings)
    return [
        Place(_name(row), [run.id for run in row.runs], float(means[0] - mean))
        for row, mean in zip(rows, means, strict=True)
    ]


def _in_order(
    standings: Iterable[tuple[RunRecord, Standing]],
) -> tuple[list[Row], Floats, Criterion]:
    """A row a configuration, the best first, and their mean scores."""
    rows = _rows(standings)
    criterion = criterion_of(run for row in rows for run in row.runs)
    means = mean_scores(rows, criterion.test, criterion.sign)
    # By name where they are equal, so that every process finds the same.
    order = sorted(range(len(rows)), key=lambda at: (-means[at], _name(rows[at])))
    return [rows[at] for at in order], means[order], criterion


def _surely_behind(rows: list[Row], criterion: Criterion, level: float) -> dict[int, float]:
    """How far each of these rows is behind the first that surely is."""
    recipes, networks = Recipes(rows, criterion), Networks(rows, criterion)
    of_recipes = recipes.p_values()
    found = {}
    for at in range(1, len(rows)):
        if recipes.tested[0, at]:
            lead, p_value = recipes.found.mean[0, at], of_recipes[0, at]
        elif len(rows[0].runs) == len(rows[at].runs) == 1:
            lead, p_value = networks.lead[0, at], networks.p_value[0, at]
        else:
            # The best of several replicates against a single one would be no fair comparison.
            continue
        if lead > 0 and p_value <= level:
            found[at] = float(lead)
    return found


def _rows(standings: Iterable[tuple[RunRecord, Standing]]) -> list[Row]:
    """One a configuration, with the validation images in the place of test images."""
    found = list(standings)
    of_run = {id(run): standing for run, standing in found}
    rows = []
    for members in fold([run for run, _ in found]):
        own = [of_run[id(run)] for run in members.values()]
        runs = [_validated(*each) for each in zip(members.values(), own, strict=True)]
        answers = [standing.answers for standing in own]
        rows.append(Row({}, (), runs, list(members), [NO_HISTORY] * len(runs), answers))
    return rows


def _validated(run: RunRecord, standing: Standing) -> RunRecord:
    criterion = criterion_of([run])
    value = criterion.sign * standing.score
    # Not data.digest: models may want the same files in other sizes.
    names = ("data.files_digest", "data.seed", "data.fold")
    drawn = [run.params.get(name, "") for name in names]
    return replace(
        run,
        params=run.params | {"data.test_digest": " ".join(["validation", *drawn])},
        metrics={criterion.test: value, criterion.validation: value},
    )


def _name(row: Row) -> str:
    return row.runs[0].tags[_CONFIGURATION]


def points_behind(fall: Fall, criterion: Criterion) -> str:
    """In words: "6.1 points", or in nats by the loss."""
    if criterion.sign < 0:
        return f"{np.round(fall.behind, 3):g} nats"
    return f"{100 * fall.behind:.1f} points"
