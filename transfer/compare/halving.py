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

A forecast keeps a share as well, two at least, but by where the curves lead, and takes the
configurations of each model by turns, the best of each first, as long as there are seats: how one
network learns says less of how another does than its own tunings do of each other
(transfer/compare/curves.py; stratified, as a survey's sample is: Cochran 1977, "Sampling
techniques", chapter 5). Of more models than seats those go on that lead furthest.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from transfer.compare.criterion import Criterion, criterion_of
from transfer.compare.curves import bounded, forecast
from transfer.compare.networks import Networks
from transfer.compare.recipes import Recipes
from transfer.compare.replicates import fold
from transfer.compare.rows import Row, mean_scores
from transfer.compare.statistics import Floats
from transfer.config.halving import share_of
from transfer.tracking.artifacts import NO_HISTORY
from transfer.tracking.run_record import RunRecord
from transfer.tracking.standing import Standing

_CONFIGURATION = "transfer.configuration"


@dataclass(frozen=True)
class Rule:
    """How the losers of a rung are found.

    Attributes:
        keep: "forecast", one of `eta`, two at least, by where the curves lead, those of each model
            by turns; "share", one of `eta`, by the best so far; or "paired", all that is not behind
            the best beyond doubt.
        eta: above 1.
        risk: the chance to drop anything that is not worse, over all rungs: above 0, below 1.
        configurations: of the whole sweep.
        rungs: of the whole sweep, at which some may be dropped.
        epochs: of a job, at its end; of a forecast.
    """

    keep: str
    eta: float
    risk: float
    configurations: int
    rungs: int
    epochs: int = 0

    @property
    def level(self) -> float:
        """The largest two-sided p-value of a difference that counts."""
        pairs = self.configurations * (self.configurations - 1) // 2
        return self.risk / max(pairs * self.rungs, 1)


@dataclass(frozen=True)
class Fall:
    """Why a configuration is dropped.

    Attributes:
        best: the configuration that is the best at this rung; by a forecast, that leads furthest of
            the same model, or of all where this one does so of its model.
        behind: how far this one is behind it by the criterion, above 0: a fraction of accuracy, or
            nats; by a forecast, of what they lead to.
        leads_to: the score that a forecast gives it; NaN where none was made.
    """

    best: str
    behind: float
    leads_to: float = math.nan


@dataclass(frozen=True)
class Place:
    """Where a configuration stands at a rung.

    Attributes:
        name: as `find_losers` calls it.
        runs: the ids of its runs.
        behind: how far its mean is behind that of the first one, as `Fall` has it; 0 for that.
            Where a forecast orders them, one that comes later may be ahead.
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
    found = list(standings)
    rows, means, criterion = _in_order(found)
    if len(rows) < 2:
        return {}
    if rule.keep == "forecast":
        return _forecast_losers(rows, _led_to(rows, found, rule.epochs), criterion, rule.eta)
    if rule.keep == "share":
        behind = {
            at: float(means[0] - means[at])
            for at in range(share_of(len(rows), rule.eta, rule.keep), len(rows))
        }
    else:
        behind = _surely_behind(rows, criterion, rule.level)
        leads = _led_to(rows, found, rule.epochs)
        # Behind, but catching up.
        behind = {at: lead for at, lead in behind.items() if leads[at] < leads[0]}
    return {_name(rows[at]): Fall(_name(rows[0]), lead) for at, lead in behind.items()}


def places(standings: Iterable[tuple[RunRecord, Standing]], rule: Rule) -> list[Place]:
    """The configurations at a rung in order of their validation scores, the best first; of a
    forecast in that of its seats.

    Args:
        standings: as of `find_losers`.
    """
    found = list(standings)
    rows, means, _ = _in_order(found)
    order = list(range(len(rows)))
    if rule.keep == "forecast":
        order = _seats(rows, _led_to(rows, found, rule.epochs))
    return [
        Place(_name(rows[at]), [run.id for run in rows[at].runs], float(means[0] - means[at]))
        for at in order
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


def _led_to(
    rows: list[Row], standings: Iterable[tuple[RunRecord, Standing]], epochs: int
) -> Floats:
    """Where each of these rows leads by the end, unbounded: the mean of its runs."""
    curves = {run.id: standing.curve for run, standing in standings}
    loss = criterion_of(run for row in rows for run in row.runs).sign < 0
    return np.array(
        [np.mean([forecast(curves[run.id], epochs, loss) for run in row.runs]) for row in rows]
    )


def _seats(rows: list[Row], led_to: Floats) -> list[int]:
    """The places of these rows in the order in which they go on: first the best of each model, then
    by turns; at the same turn by where they lead.
    """
    ranked: dict[tuple[str, str], list[int]] = {}
    for at in sorted(range(len(rows)), key=lambda at: (-led_to[at], _name(rows[at]))):
        ranked.setdefault(_model(rows[at]), []).append(at)
    turn = {at: rank / len(own) for own in ranked.values() for rank, at in enumerate(own)}
    return sorted(turn, key=lambda at: (turn[at], -led_to[at], _name(rows[at])))


def _forecast_losers(
    rows: list[Row], led_to: Floats, criterion: Criterion, eta: float
) -> dict[str, Fall]:
    order = _seats(rows, led_to)
    scores = bounded(led_to, criterion.sign < 0)
    top = int(np.argmax(led_to))
    found = {}
    for at in order[share_of(len(rows), eta, "forecast") :]:
        # The first of its model has the first seat.
        first = next(each for each in order if _model(rows[each]) == _model(rows[at]))
        best = top if first == at else first
        behind, leads_to = float(scores[best] - scores[at]), float(criterion.sign * scores[at])
        found[_name(rows[at])] = Fall(_name(rows[best]), behind, leads_to)
    return found


def _model(row: Row) -> tuple[str, str]:
    return model_of(row.runs[0])


def model_of(run: RunRecord) -> tuple[str, str]:
    """What a run has in common with those that learn alike: its network, and what that starts
    from."""
    return run.params.get("model.name", ""), run.params.get("weights", "")


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


def where_it_leads(fall: Fall, criterion: Criterion) -> str:
    """In words: "61.2 %", or in nats by the loss; empty where no forecast was made."""
    if math.isnan(fall.leads_to):
        return ""
    if criterion.sign < 0:
        return f"{np.round(fall.leads_to, 3):g} nats"
    return f"{100 * fall.leads_to:.1f} %"
