"""The screen of a choice: which candidates are worth a training, seen within a part of its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from transfer.config import Config
from transfer.sweep.budget import Budget
from transfer.sweep.choose.worth import merit_of
from transfer.sweep.expected import duration
from transfer.sweep.screen import Screen, as_read, label_of, screen
from transfer.sweep.screen_text import screen_text
from transfer.tracking.screens import log_screen
from transfer.tracking.store import open_store, store_uri

# The longest part of the time that a screen goes on for, where it takes longer than planned because
# something else runs on the machine.
_LONGEST = 0.4


class Screened(NamedTuple):
    """What a screen found.

    Attributes:
        merits: of the candidates that are worth a training, by their labels, the most promising
            first: that of a linear probe, as `transfer.sweep.choose.worth` counts it; 0 for all
            where there was no screen.
        pass_s: seconds in which the screen has looked at all images of a candidate, by its label;
            NaN where another command has, maybe on a machine at rest.
        hopeless: candidates that are not worth one, as a screen reads them.
    """

    merits: dict[str, float]
    pass_s: dict[str, float]
    hopeless: list[Config]


def screen_for_choice(
    configs: Sequence[Config],
    config: DictConfig,
    budget: Budget,
    *,
    show_life: Callable[[], None],
    say: Callable[[str], None],
) -> Screened:
    """Screen the candidates, unless there is nothing to compare or this is a preview.

    Args:
        configs: the candidates, in order.
        config: of the sweep.
        budget: the sweep's; whatever of it is left is divided.
        show_life: to be called now and then.
        say: tells people of a decision, in one line.
    """
    read = [as_read(each) for each in configs]
    pretrained = [each for each in read if each.weights != "none"]
    raw = [label_of(each) for each in read if each.weights == "none"]
    preview = bool(OmegaConf.select(config, "preview"))
    if preview and len(pretrained) > 1:
        say("without the screen, which takes time: all candidates count alike here")
    if len(pretrained) < 2 or preview:
        return Screened(dict.fromkeys([*map(label_of, pretrained), *raw], 0.0), {}, [])
    found = _run_screen(pretrained, config, budget, show_life)
    table = found.table
    seen = set(table["label"])
    if unseen := [each for each in map(label_of, pretrained) if each not in seen]:
        say(f"left out: {', '.join(unseen)}: the screen took longer than planned")
    out = table["label"][table["hopeless"]].tolist()
    if out:
        say(f"hopeless, and not trained: {', '.join(out)}")
    # Where they were at hand, another command has made them, maybe on a machine at rest.
    made_now = sum(table["pass_s"].tolist()) < found.seconds
    pass_s = {
        label: seconds if made_now else math.nan
        for label, seconds in zip(table["label"], table["pass_s"].tolist(), strict=True)
    }
    kept = table[~table["hopeless"]]
    merits = [merit_of(1 - linear) for linear in kept["linear"]]
    # What random weights come to, no probe can say: no more than the worst of the others.
    lowest = dict.fromkeys(raw, min(merits))
    return Screened(
        dict(zip(kept["label"], merits, strict=True)) | lowest,
        pass_s,
        [each for each in pretrained if label_of(each) in out],
    )


def _run_screen(
    candidates: Sequence[Config], config: DictConfig, budget: Budget, show_life: Callable[[], None]
) -> Screen:
    """Screen candidates, as far as there is time; print what came of it, and tell the store."""
    until = budget.used + _LONGEST * budget.left

    def time_is_up() -> bool:
        show_life()
        return budget.used > until

    left = duration(max(budget.left, 0.0))
    print(f"screen of {len(candidates)} candidates; of the budget {left} are left", flush=True)
    found = screen(candidates, time_is_up)
    text = screen_text(found)
    print(text, flush=True)
    client = open_store(store_uri(OmegaConf.select(config, "tracking.uri")))
    log_screen(client, found.table, found.params, text, found.seconds)
    return found
