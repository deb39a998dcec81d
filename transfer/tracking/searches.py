"""What a search has tried, as an artifact of its sweep's run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from transfer.system.errors import without_password
from transfer.tracking.store import Client, answering

SEARCH = "search.json"


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a search.

    Attributes:
        state: "finished", "pruned", "failed" or "running".
        chosen: overrides.
        score: the best on the validation images; more is better. None where there is none.
        epoch: after which it was pruned.
        repeats: the number of the trial that has trained the same.
    """

    number: int
    state: str
    chosen: Sequence[str]
    score: float | None
    epoch: int | None
    repeats: int | None


@dataclass(frozen=True)
class SearchRecord:
    """A search so far.

    Attributes:
        n_trials: those that were asked for.
        trials: those that there were, in the order in which they were chosen; of one that was
            retried, the last.
        importances: shares of 1, by the key; empty where they cannot be told.
    """

    select_by: str
    sampler: str
    pruner: str
    n_trials: int
    trials: Sequence[TrialRecord]
    importances: Mapping[str, float]


def log_search(client: Client, sweep_id: str, record: SearchRecord) -> None:
    """Log a search to its sweep's run, in place of what was logged before.

    Raises:
        ConfigError: the store cannot be written.
    """
    text = without_password(json.dumps(asdict(record)))
    with answering(client.tracking_uri, "written"):
        client.log_text(sweep_id, text, SEARCH)


def read_search(path: Path) -> SearchRecord:
    """The file that `log_search` has logged.

    Raises:
        Exception: it is damaged.
    """
    found = json.loads(path.read_text())
    trials = [_trial(**each) for each in found.pop("trials")]
    shares = {str(key): float(share) for key, share in found.pop("importances").items()}
    if found["select_by"] not in ("acc", "balanced_acc", "loss"):
        raise ValueError(f"selected by {found['select_by']}")
    return SearchRecord(trials=trials, importances=shares, **found)


def _trial(
    *,
    number: int,
    state: str,
    chosen: Sequence[str],
    score: float | None,
    epoch: int | None,
    repeats: int | None,
) -> TrialRecord:
    scored = None if score is None else float(score)
    return TrialRecord(int(number), str(state), [*map(str, chosen)], scored, epoch, repeats)
