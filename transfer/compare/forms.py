"""What becomes of a network when it is exported: its forms against the network itself, on the same
test images, by the tests that compare networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from transfer.compare.criterion import CRITERIA, Criterion
from transfer.compare.networks import network_differences
from transfer.compare.rows import Row
from transfer.compare.statistics import CONFIDENCE, pareto_front
from transfer.compare.verdicts import Verdict, Verdicts
from transfer.tracking.artifacts import Predictions
from transfer.tracking.forms import FormMeasures, forms_of
from transfer.tracking.run_record import RunRecord

_NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class FormRow:
    """A form of one of the networks of a report.

    Attributes:
        row: the configuration that it is a form of.
        run: that gave the network.
        form: its name, as in `transfer.tracking.forms`.
        verdict: on its accuracy as against the network itself, "worse" where it is lower; of those
            that are quantised, corrected over all of them in the report.
        on_front: whether no other form of any row is at least as accurate and at least as fast with
            one image.
    """

    row: Row
    run: RunRecord
    form: str
    measures: FormMeasures
    verdict: Verdict
    on_front: bool


def accuracy_change(parent: Predictions, form: Predictions) -> dict[str, float]:
    """How much more accurate a form is than its network, as `FormMeasures` has it: by McNemar's
    exact test, the interval that of a difference of paired shares.

    Args:
        parent, form: answers to the same images, in the same order.
    """
    lead, variance, p_value, _ = network_differences([form, parent], CRITERIA["acc"])
    change, half = float(lead[0, 1]), _NORMAL * math.sqrt(float(variance[0, 1]))
    return {
        "acc": float(form.correct.mean()),
        "acc_change": change,
        "acc_change_low": change - half,
        "acc_change_high": change + half,
        "acc_change_p": float(p_value[0, 1]),
    }


def form_rows(rows: Sequence[Row], criterion: Criterion, equivalent_within: float) -> list[FormRow]:
    """The forms of every row of which some are known, each below its row: of the run that gives the
    row's network, or where that was not exported, of one that was.

    Args:
        equivalent_within: differences in accuracy smaller than this count as none.
    """
    found = []
    for row in rows:
        deployed = row.runs[row.deployed(criterion)]
        exported = [run for run in (deployed, *row.runs) if forms_of(run.metrics)]
        for run in exported[:1]:
            found += [(row, run, form, each) for form, each in forms_of(run.metrics).items()]
    measures = [each for *_, each in found]
    accuracies = [each.acc for each in measures]
    front = pareto_front(accuracies, [each.latency_ms for each in measures])
    verdicts = form_verdicts([form for _, _, form, _ in found], measures, equivalent_within)
    return [
        FormRow(*each, verdict, on_front)
        for each, verdict, on_front in zip(found, verdicts, front, strict=True)
    ]


def form_verdicts(
    forms: Sequence[str], measures: Sequence[FormMeasures], equivalent_within: float
) -> list[Verdict]:
    """What the tests say of each form, by what was kept of them."""
    found = [_verdicts([each], equivalent_within)[0] for each in measures]
    quantised = [at for at, form in enumerate(forms) if form.endswith("int8")]
    corrected = _verdicts([measures[at] for at in quantised], equivalent_within)
    for at, verdict in zip(quantised, corrected, strict=True):
        found[at] = verdict
    return found


def _verdicts(measures: Sequence[FormMeasures], equivalent_within: float) -> list[Verdict]:
    """Each against its network, corrected over all of them."""
    # The networks stand for one more row, the last.
    count = len(measures)
    lead, p_value, equivalence = (np.full((count + 1, count + 1), np.nan) for _ in range(3))
    for at, each in enumerate(measures):
        deviation = (each.acc_change_high - each.acc_change_low) / (2 * _NORMAL)
        lead[at, count], p_value[at, count] = each.acc_change, each.acc_change_p
        if deviation > 0:
            size = abs(equivalent_within - abs(each.acc_change)) / deviation
            equivalence[at, count] = 2 * stats.norm.sf(size)
    verdicts = Verdicts(lead, p_value, equivalence, equivalent_within)
    return [verdicts.verdict(at, count) for at in range(count)]
