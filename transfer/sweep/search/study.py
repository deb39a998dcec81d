"""Optuna's side of a search: what chooses, what prunes, and the file that all processes share.

The study lies in the sweep's folder as lines of JSON, which are only added to: a process that is
killed leaves all that was told before.
"""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.config.space import Choice, Numbers, Space
from transfer.system.disk import atomic_write
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import JournalStorage
    from optuna.trial import FrozenTrial, TrialState

    from transfer.config.search import SearchConfig
    from transfer.sweep.state import Pruning

_NAME = "search"
_FILE = "study.jsonl"
_OPTIONS = "options"
# An importance told from fewer finished trials would be noise.
_FEWEST_TOLD = 10
_FEWEST_GOOD = 5


def require_optuna() -> None:
    """Raise ConfigError where Optuna is not installed, or too old."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("hydra/sweeper", "search", "needs: pip install 'optuna>=5'") from error
    if int(optuna.__version__.partition(".")[0]) < 5:
        problem = f"needs: pip install 'optuna>=5' (this is {optuna.__version__})"
        raise ConfigError("hydra/sweeper", "search", problem)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Optuna says of a parameter or a class that may still change."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def forget_study(folder: Path) -> None:
    """Delete that of an earlier search that was given the same folder."""
    (folder / _FILE).unlink(missing_ok=True)


def take_over_study(former: Path, folder: Path) -> bool:
    """Bring the study of an earlier command here.

    Returns:
        Whether there is one to go on with.
    """
    if former != folder and (former / _FILE).is_file():
        with (former / _FILE).open("rb") as source, atomic_write(folder / _FILE) as copy:
            shutil.copyfileobj(source, copy)
    if not (path := folder / _FILE).is_file():
        return False
    whole = path.read_bytes()
    if not whole.endswith(b"\n"):
        # A power cut has left half a line, which the next one must not continue. It is cut off, for
        # to write the file anew would leave none of it where that is killed.
        os.truncate(path, whole.rfind(b"\n") + 1)
    return True


class SharedStudy:
    """The study of a search, in which more is better: made where there is none yet.

    Args:
        folder: of the sweep, on a disk that all of its processes share.
        pruning: None where trials are not pruned.

    Attributes:
        storage: the same file, for what Optuna's study does not offer.
    """

    def __init__(self, folder: Path, pruning: Pruning | None = None) -> None:
        import optuna

        self.storage = _storage(folder)
        with _quiet():
            self.optuna = optuna.create_study(
                storage=self.storage,
                pruner=_pruner(pruning),
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )

    @property
    def options(self) -> dict[str, Any] | None:
        """What chooses and prunes in this search, as it began; None before that is kept."""
        found: dict[str, Any] | None = self.optuna.user_attrs.get(_OPTIONS)
        return found

    @options.setter
    def options(self, options: dict[str, Any]) -> None:
        self.optuna.set_user_attr(_OPTIONS, options)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Those in one of these states, or all, in order; not to be changed."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def trial_id(self, number: int) -> int:
        """The storage's own number of a trial."""
        study_id = self.storage.get_study_id_from_name(_NAME)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def trial(self, number: int) -> FrozenTrial:
        return self.storage.get_trial(self.trial_id(number))

    def note(self, number: int, name: str, value: object) -> None:
        """Keep an attribute of a trial that was not told yet; as JSON."""
        self.storage.set_trial_user_attr(self.trial_id(number), name, value)

    def ask(self, options: SearchConfig, space: Space) -> tuple[int, dict[str, str]]:
        """A new trial: its number, and the text of each value by the key."""
        with _quiet():
            self.optuna.sampler = _sampler(options, len(self.trials()))
            trial = self.optuna.ask()
            return trial.number, _suggest(trial, space)

    def chosen(self, number: int, options: SearchConfig, space: Space) -> dict[str, str]:
        """What was chosen for a trial that was not told yet; what its process could not choose, for
        it was killed while it did, is chosen now."""
        from optuna import Trial

        with _quiet():
            self.optuna.sampler = _sampler(options, number)
            return _suggest(Trial(self.optuna, self.trial_id(number)), space)

    def importances(self) -> dict[str, float]:
        """How much of what sets good trials apart from others each key explains, as shares of 1,
        the largest first: PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv:2304.10255).

        Empty where few trials have finished, or all alike.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        finished = self.trials(TrialState.COMPLETE)
        if len(finished) < _FEWEST_TOLD or len({each.value for each in finished}) == 1:
            return {}
        # Of fewer good trials nobody can see how they are spread.
        share = max(0.1, _FEWEST_GOOD / len(finished))
        with _quiet():
            evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
            found = get_param_importances(self.optuna, evaluator=evaluator)
        return {key: share for key, share in found.items() if math.isfinite(share)}


def _storage(folder: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class StudyLock(JournalFileOpenLock):
        """One that a process loses when it is killed; Optuna's own stays for half a minute."""

        def __init__(self, path: Path) -> None:
            self._lock = Lock(path, timeout_s=math.inf)

        def acquire(self) -> bool:
            self._lock.acquire()
            return True

        def release(self) -> None:
            self._lock.release()

    backend = JournalFileBackend(str(folder / _FILE), StudyLock(folder / "study.lock"))
    return JournalStorage(backend)


def _suggest(trial: Trial, space: Space) -> dict[str, str]:
    return {key: _suggested(trial, key, each) for key, each in space.dimensions.items()}


def _suggested(trial: Trial, key: str, dimension: Numbers | Choice) -> str:
    if isinstance(dimension, Choice):
        return str(trial.suggest_categorical(key, list(dimension.values)))
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.whole:
        step = int(dimension.step or 1)
        return dimension.text(trial.suggest_int(key, int(low), int(high), step=step, log=log))
    return dimension.text(trial.suggest_float(key, low, high, step=dimension.step, log=log))


def _sampler(options: SearchConfig, number: int) -> BaseSampler:
    """What chooses the values of one trial: by what the study knows and by the trial's own seed, so
    that a search that goes on chooses as one that was never interrupted."""
    from optuna import samplers

    seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
    startup = options.n_startup_trials
    match options.sampler:
        case "tpe":
            return samplers.TPESampler(n_startup_trials=startup, seed=seed)
        case "gp":
            return samplers.GPSampler(
                n_startup_trials=startup, seed=seed, warn_independent_sampling=False
            )
        case "qmc":
            # One sequence for all, from which the study knows what was taken.
            return samplers.QMCSampler(
                scramble=True,
                seed=options.seed,
                independent_sampler=samplers.RandomSampler(seed),
                warn_independent_sampling=False,
            )
        case _:
            return samplers.RandomSampler(seed)


def _pruner(pruning: Pruning | None) -> BasePruner:
    from optuna import pruners

    if pruning is None:
        return pruners.NopPruner()
    first, eta = pruning.first_rung, pruning.eta
    median = pruners.MedianPruner(pruning.prune_from, first)
    match pruning.pruner:
        case "percentile":
            return pruners.PercentilePruner(25.0, pruning.prune_from, first)
        case "patient":
            return pruners.PatientPruner(median, pruning.patience)
        case "asha":
            return pruners.SuccessiveHalvingPruner(first, eta)
        case "hyperband":
            return pruners.HyperbandPruner(first, pruning.epochs, eta)
        case _:
            return median
