"""What was dropped on the way: a list, and what that may have cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from transfer.compare.comparison import Comparison
from transfer.compare.criterion import Criterion
from transfer.compare.forgone import Curve, Forgone, estimate_forgone
from transfer.compare.halving import model_of
from transfer.compare.keys import short
from transfer.compare.rows import label_of
from transfer.compare.statistics import Floats
from transfer.report.document import Block, Heading, Paragraph, Picture, Table
from transfer.report.language import Words
from transfer.report.verdicts import chance
from transfer.system.markdown import literal
from transfer.tracking.dropped import Dropped
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection
from transfer.tracking.sweep_run import (
    BUDGET_TAG,
    FURTHER_SEEDS_TAG,
    HOPELESS_TAG,
    NOT_REPEATED_TAG,
    TRIES_TAG,
    UNTRAINED_TAG,
)


@dataclass(frozen=True)
class Race:
    """What a report knows of what was dropped on the way, beside the runs themselves.

    Attributes:
        curves: of each run, by its id, its validation score in each epoch; empty where it is lost.
        picture: the figure of these, and of what finished.
    """

    curves: Mapping[str, Floats] = field(default_factory=dict)
    picture: Picture | None = None


def is_dropped(run: RunRecord) -> bool:
    """Whether a sweep in rungs has dropped a run."""
    return not run.finished and Dropped.of(run.tags) is not None


def dropped_line(runs: Sequence[RunRecord], every: int, words: Words) -> Paragraph:
    """How many runs were dropped, of so many, and why."""
    whys = _whys(runs)
    told = [words(f"dropped.why.{why}") for why in ("behind", "forecast", "time") if why in whys]
    return Paragraph(words("dropped", count=len(runs), all=every, why=words("comma").join(told)))


def _whys(runs: Sequence[RunRecord]) -> set[str]:
    return {own.why for run in runs if (own := Dropped.of(run.tags)) is not None}


def budget_blocks(selection: Selection, words: Words) -> list[Block]:
    """What a sweep has not begun to save time, what the time that it was given was too short for,
    and how sure its verdict is where it chose; nothing where all was trained."""
    blocks: list[Block] = []
    for sweep in selection.sweeps:
        if count := int(sweep.tags.get(NOT_REPEATED_TAG, "0")):
            blocks.append(Paragraph(words("dropped.not_repeated", count=count)))
        if FURTHER_SEEDS_TAG in sweep.tags:
            blocks.append(Paragraph(words("budget.seeds")))
        for tag, key in ((HOPELESS_TAG, "choice.hopeless"), (UNTRAINED_TAG, "choice.untrained")):
            if tag in sweep.tags:
                blocks.append(Paragraph(words(key, names=literal(sweep.tags[tag]))))
        if BUDGET_TAG not in sweep.tags:
            continue
        parts = [
            words(f"budget.{name}", count=count)
            for name in ("dropped", "left_out", "paused")
            if (count := int(sweep.tags.get(f"{BUDGET_TAG}_{name}", "0")))
        ]
        told = words("comma").join(parts)
        key = "budget.short" if parts else "budget.enough"
        blocks.append(Paragraph(words(key, budget=sweep.tags[BUDGET_TAG], parts=told)))
        if TRIES_TAG in sweep.tags:
            blocks.append(Paragraph(_tries_text(sweep.tags, words)))
    return blocks


def _tries_text(tags: Mapping[str, str], words: Words) -> str:
    """What a sweep that chose has tried after its race, and why no more."""
    following = literal(tags.get(f"{TRIES_TAG}_next", ""))
    key = "budget.tries_short" if following else "budget.tries_enough"
    takes, budget = (tags.get(f"{TRIES_TAG}_{name}", "") for name in ("takes", "budget"))
    return words(key, count=tags[TRIES_TAG], following=following, takes=takes, budget=budget)


def dropped_blocks(
    runs: Sequence[RunRecord], comparison: Comparison | None, words: Words, race: Race
) -> list[Block]:
    """The list of these runs, the figure, and the risk that one of them would have been the best.

    Args:
        comparison: of those that finished, if all were tested on the same images.
    """
    keys = comparison.rows[0].label_keys if comparison and comparison.rows else []
    blocks: list[Block] = [Heading(words("section.dropped")), dropped_table(runs, keys, words)]
    whys = _whys(runs)
    if whys != {"forecast"}:
        blocks.append(Paragraph(words("dropped.text")))
    if "forecast" in whys:
        blocks.append(Paragraph(words("dropped.forecast")))
    blocks.append(Paragraph(words("dropped.untested")))
    if comparison is not None:
        found = _forgone(runs, comparison, race.curves)
        if found is None:
            unknown = Paragraph(words("forgone.unknown"))
            return [*blocks, unknown, *([race.picture] if race.picture else [])]
        loss = comparison.criterion.sign < 0
        value = f"{found.loss:.3f}" if loss else f"{100 * found.loss:.2f}"
        told = {
            "chance": chance(found.probability),
            "loss": words("behind.nats" if loss else "behind.points", value=value),
            "count": found.finished,
        }
        blocks.append(Paragraph(words("forgone", **told)))
    return [*blocks, *([race.picture] if race.picture else [])]


def dropped_table(runs: Sequence[RunRecord], label_keys: Sequence[str], words: Words) -> Table:
    """When each configuration was dropped, and how far behind which other."""
    cells = []
    for own in _by_configuration(runs):
        dropped = Dropped.of(own[0].tags)
        assert dropped is not None
        value, _, unit = dropped.behind.partition(" ")
        behind = words(f"behind.{unit}", value=value) if dropped.best else words("behind.first")
        if dropped.why == "time":
            behind = words("behind.time", behind=behind)
        elif dropped.why == "forecast":
            behind = words("behind.forecast", behind=behind, value=dropped.leads_to)
        label, best = map(literal, (_label(own[0], label_keys), dropped.best or "–"))
        cells.append([label, str(len(own)), str(dropped.epoch), behind, best])
    names = ["configuration", "runs", "dropped_epoch", "dropped_behind", "dropped_best"]
    return Table([words(f"column.{name}") for name in names], cells, len(names))


def _by_configuration(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Dropped runs of each configuration, those first that came furthest."""
    members: dict[str, list[RunRecord]] = {}
    for run in runs:
        members.setdefault(run.tags["transfer.configuration"], []).append(run)

    def came(own: list[RunRecord]) -> tuple[int, float]:
        found = [each for run in own if (each := Dropped.of(run.tags)) is not None]
        return found[0].epoch, float(np.mean([each.score for each in found]))

    return sorted(members.values(), key=came, reverse=True)


def _label(run: RunRecord, label_keys: Sequence[str]) -> str:
    chosen = {short(key): value for key, value in run.params.items()}
    return label_of({key: chosen.get(key, "") for key in label_keys}, label_keys) or run.name


def dropped_curves(
    runs: Sequence[RunRecord],
    curves: Mapping[str, Floats],
    criterion: Criterion,
    label_keys: Sequence[str],
) -> list[tuple[str, Floats]]:
    """The label of each dropped configuration, with the best validation score that it had so far,
    by epoch, as far as all of its runs were trained: their mean.

    Args:
        curves: of each run, by its id, the score of each epoch.
        label_keys: the choices that name a configuration in this report.
    """
    best_so_far = np.maximum if criterion.sign > 0 else np.minimum
    found = []
    for own in _by_configuration(runs):
        length = min(len(curves[run.id]) for run in own)
        scores = np.array([best_so_far.accumulate(curves[run.id][:length]) for run in own])
        found.append((_label(own[0], label_keys), scores.mean(axis=0)))
    return found


def _forgone(
    runs: Sequence[RunRecord], comparison: Comparison, curves: Mapping[str, Floats]
) -> Forgone | None:
    criterion = comparison.criterion
    finished = [
        Curve(criterion.sign * values.mean(axis=1), model_of(row.runs[0]), _epochs(row.runs[0]))
        for row in comparison.rows
        if (values := row.by_epoch(f"val/{criterion.name}").to_numpy()).size
    ]
    dropped = list[Curve]()
    for own in _by_configuration(runs):
        like, epochs = model_of(own[0]), _epochs(own[0])
        known = [curves.get(run.id, np.empty(0)) for run in own]
        length = min(map(len, known))
        if length:
            scores = criterion.sign * np.mean([each[:length] for each in known], axis=0)
            dropped.append(Curve(scores, like, epochs))
            continue
        # Of a lost curve, where it ended.
        ends = [each for run in own if (each := Dropped.of(run.tags)) is not None]
        flat = np.full(ends[0].epoch, np.mean([each.score for each in ends]))
        dropped.append(Curve(flat, like, epochs))
    return estimate_forgone(finished, dropped)


def _epochs(run: RunRecord) -> int:
    return int(run.params.get("epochs", 0))
