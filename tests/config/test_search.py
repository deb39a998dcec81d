"""What can be chosen of a search, and what is refused before its first trial."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from tests.conftest import ROOT, config_of
from transfer.config.key import leaves
from transfer.config.search import SearchConfig, SearchPlan, plan_search
from transfer.config.space import Choice, Space
from transfer.system.errors import ConfigError

FILE = ROOT / "conf/hydra/sweeper/search.yaml"
_SPACE = Space({"optimizer.lr": Choice(["0.1", "0.2"])}, [])


def _plan(*overrides: tuple[str, ...], **options: object) -> SearchPlan:
    node = OmegaConf.merge(OmegaConf.load(FILE), OmegaConf.create(options))
    typed = [f"hydra.sweeper.{name}={value}" for name, value in options.items()]
    jobs = [config_of("model=simple_cnn", "weights=none", *each) for each in overrides or [()]]
    return plan_search(node, typed, _SPACE, jobs)


def test_nothing_is_pruned_before_the_last_unfreeze() -> None:
    long = ("epochs=40", "freeze_epochs=5"), ("epochs=40", "freeze_epochs=0")
    assert _plan(*long).first_rung == 7
    assert _plan(*long[1:]).first_rung == 2
    assert _plan(*long, first_rung=1).first_rung == 1
    assert _plan(*long, pruner="none").first_rung is None
    assert _plan(("epochs=2", "freeze_epochs=1")).first_rung is None, "there is no epoch for it"
    text = str(_plan(("epochs=9", "freeze_epochs=0"), n_trials=1))
    assert text.startswith("1 trial by tpe, seed 0; pruned by median, from epoch 1 of 9 on:")
    assert "nothing is pruned" in str(_plan(pruner="none"))


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"n_trials": 0}, "n_trials=0: must be from 1 to 100000 trials"),
        ({"n_trials": "many"}, "n_trials=many: Value 'many'"),
        ({"sampler": "bayes"}, "sampler=bayes: choose from tpe, gp, qmc, random"),
        ({"pruner": "asap"}, "pruner=asap: choose from none, median, percentile, patient"),
        ({"eta": 1, "pruner": "asha"}, "eta=1: must be from 2 to 100"),
        ({"first_rung": 14}, "first_rung=14: must lie before the last of 14 epochs"),
        ({"max_batch_size": 0}, "max_batch_size=0: must be null, or at least 1"),
        # Typed and of no use.
        ({"eta": 4}, "eta=4: is not used; what would: hydra.sweeper.pruner=asha | "),
        ({"patience": 4}, "patience=4: is not used; what would: hydra.sweeper.pruner=patient"),
        ({"n_startup_trials": 4, "sampler": "qmc"}, "n_startup_trials=4: is not used; what "),
        ({"first_rung": 4, "pruner": "none"}, "first_rung=4: is not used"),
    ],
)
def test_an_option_that_cannot_work_is_refused(options: dict[str, object], refusal: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _plan(**options)
    assert str(raised.value).startswith(f"hydra.sweeper.{refusal}")


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        ("seed=0", "seed=1", "seed=0,1: a search would choose the luckiest; repeat over seeds"),
        ("data.seed=0", "data.seed=1", "data.seed=0,1: trials are compared with one another"),
        ("data.fold=0", "data.fold=1", "data.fold=0,1: trials are compared with one another"),
        ("select_by=acc", "select_by=loss", "select_by=acc,loss: trials are compared"),
        ("stop_after=3", "stop_after=4", "stop_after=3: trials are stopped by the pruner"),
    ],
)
def test_trials_that_cannot_be_compared_are_refused(first: str, second: str, refusal: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _plan((first,), (second,))
    assert str(raised.value).startswith(refusal)


def test_the_file_says_what_is_declared() -> None:
    node, text = OmegaConf.load(FILE), FILE.read_text()
    for name, key, value in leaves(SearchConfig()):
        assert node[name] == value
        comment = re.search(rf"^{name}: .*#(.*)", text, re.M)
        assert comment is not None
        assert all(choice in text for choice in key.choices)
        if key.unit:
            assert key.unit in comment[1]
        for bound in (key.low, key.high):
            assert bound is None or f"{bound:.0f}" in comment[1]
