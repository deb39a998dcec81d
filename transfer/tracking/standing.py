"""How a run that pauses stands: its validation scores so far, and the answers that they rest on.

The answers lie in the run's folder, as one small file a pause, so that paused runs can be compared
by the same images.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transfer.tracking.artifacts import Predictions, read_predictions
from transfer.tracking.run_state import RunState


@dataclass(frozen=True)
class Standing:
    """A run after some of its epochs.

    Attributes:
        score: of the best of them on validation, by what the run is selected by; more is better.
        answers: of the network that was the best until then, on the validation images; None where
            it did not pause there.
        curve: likewise its score in each of them, as its points have it.
    """

    score: float
    answers: Predictions | None
    curve: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


def standing_file(epoch: int) -> str:
    """The name of the file of a run that paused after this epoch."""
    return f"validation-{epoch}.npz"


def write_standing(path: Path, standing: Standing) -> None:
    answers = standing.answers
    assert answers is not None
    np.savez_compressed(
        path,
        score=np.float64(standing.score),
        labels=answers.labels,
        predicted=answers.predicted,
        confidence=answers.confidence,
        loss=np.empty(0) if answers.loss is None else answers.loss,
        classes=np.array(list(answers.names)),
    )


def read_standing(folder: Path, epoch: int, run_id: str | None = None) -> Standing | None:
    """How the run in a folder stood after this epoch; None where it did not pause there, or what it
    kept is damaged.

    Args:
        run_id: of the run that is meant, where the folder may have been another one's since.
    """
    state, name = RunState.load(folder), standing_file(epoch)
    if state is None or name not in state.artifacts or run_id not in (None, state.run_id):
        return None
    try:
        with np.load(folder / name, allow_pickle=False) as saved:
            score = float(saved["score"])
        return Standing(score, read_predictions(folder / name), _curve(state, epoch))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def read_scores(folder: Path, epoch: int) -> Standing | None:
    """How the run in a folder stood after this epoch by its scores alone, whether it paused there
    or not; None where it has not come there, or one of them is lost."""
    state = RunState.load(folder)
    if state is None:
        return None
    try:
        curve = _curve(state, epoch)
    except KeyError:
        return None
    return Standing(float(curve.max()), None, curve)


def _curve(state: RunState, epoch: int) -> NDArray[np.float64]:
    """The score in each epoch up to this one; raises KeyError where one is lost."""
    chosen = state.params.get("select_by", "acc")
    points = [state.points["point", f"val/{chosen}", at].value for at in range(1, epoch + 1)]
    return np.array(points) * (-1.0 if chosen == "loss" else 1.0)
