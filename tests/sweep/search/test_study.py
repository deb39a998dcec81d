"""What chooses and what prunes: Optuna itself, on trials that train nothing."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from tests.conftest import files_up_to
from transfer.config.search import SearchConfig
from transfer.config.space import Choice, Numbers, Space
from transfer.sweep.search.study import SharedStudy, require_optuna, take_over_study
from transfer.sweep.state import Pruning
from transfer.system.errors import ConfigError

SPACE = Space(
    {
        "lr": Numbers(1e-4, 0.1, None, log=True, whole=False),
        "share": Numbers(0, 1, None, log=False, whole=False),
        "size": Numbers(1, 9, 2, log=False, whole=True),
        "model": Choice(["a", "b"]),
    },
    [],
)
_RANDOM = 7


def _count(sampler: str) -> int:
    """How many trials are enough; a Gaussian process takes its time."""
    return _RANDOM + 2 if sampler == "gp" else 2 * _RANDOM


def _search(folder: Path, sampler: str, killed_at: int = -1) -> list[dict[str, str]]:
    """What is chosen for some trials; in the midst of one of them the process is lost."""
    options = SearchConfig(sampler=sampler, n_startup_trials=_RANDOM, seed=3)
    study, chosen = SharedStudy(folder), []
    for number in range(_count(sampler)):
        if number == killed_at:
            # The trial is there, and nothing is chosen for it yet.
            study.optuna.ask()
            study = SharedStudy(folder)
            found = study.chosen(number, options, SPACE)
        else:
            own, found = study.ask(options, SPACE)
            assert own == number
        assert study.chosen(number, options, SPACE) == found, "as often as it is asked"
        chosen.append(found)
        study.optuna.tell(number, -abs(float(found["share"]) - 0.7))
    return chosen


@pytest.mark.parametrize("sampler", ["tpe", "gp", "qmc", "random"])
def test_a_search_that_goes_on_chooses_as_one_that_was_never_killed(
    sampler: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        folder.mkdir()
    chosen = _search(folders[0], sampler)
    assert len({tuple(each.values()) for each in chosen}) == _count(sampler)
    assert all(1e-4 <= float(each["lr"]) <= 0.1 for each in chosen)
    assert {each["size"] for each in chosen} <= set("13579")
    assert {each["model"] for each in chosen} == {"a", "b"}
    assert _search(folders[1], sampler, killed_at=_RANDOM + 1) == chosen
    if sampler == "tpe":
        names = list(SharedStudy(folders[0]).importances())
        assert names[0] == "share" and set(names) == set(SPACE.dimensions)


@pytest.mark.parametrize("pruner", ["median", "percentile", "patient", "asha", "hyperband"])
def test_a_pruner_stops_what_is_behind(pruner: str, tmp_path: Path) -> None:
    pruning = Pruning(pruner, 3, 1, 3, 2, 9)
    study = SharedStudy(tmp_path, pruning)
    stopped = {}
    for curve in (0.5, 0.6, 0.7, 0.1, 0.8):
        trial = study.optuna.ask()
        for epoch in range(1, 10):
            # One that gets worse, for the patient one.
            score = curve - (0.01 * epoch if curve == 0.1 else 0)
            study.storage.set_trial_intermediate_value(study.trial_id(trial.number), epoch, score)
            if study.optuna.pruner.prune(study.optuna, study.trial(trial.number)):
                stopped[curve] = epoch
                break
        if curve not in stopped:
            study.optuna.tell(trial, curve)
    assert stopped.pop(0.1) >= 2, "no sooner than the first rung"
    assert 0.8 not in stopped
    if pruner in ("median", "percentile", "patient"):
        assert not stopped, "the others come before there is something to compare with"


def test_half_a_line_is_no_part_of_a_study(tmp_path: Path) -> None:
    former, folder = tmp_path / "former", tmp_path / "folder"
    for each in (former, folder):
        each.mkdir()
    assert not take_over_study(former, folder)
    _search(former, "random")
    whole = (former / "study.jsonl").read_bytes()
    with (former / "study.jsonl").open("a") as file:
        file.write('{"op_code":4,"worker')
    assert take_over_study(former, folder)
    assert (folder / "study.jsonl").read_bytes() == whole
    # Whoever writes it anew loses it where that is cut short.
    with files_up_to(len(whole) // 2):
        assert take_over_study(former, former)
    assert (former / "study.jsonl").read_bytes() == whole
    study = SharedStudy(folder)
    assert len(study.trials()) == _count("random")
    assert study.ask(SearchConfig(), SPACE)[0] == _count("random")


@pytest.mark.parametrize("found", [None, types.SimpleNamespace(__version__="4.9.1")])
def test_what_is_missing_is_said_in_a_line(found: object, monkeypatch: pytest.MonkeyPatch) -> None:
    require_optuna()
    monkeypatch.setitem(sys.modules, "optuna", found)
    with pytest.raises(ConfigError, match="hydra/sweeper=search: needs: pip install 'optuna>=5'"):
        require_optuna()
