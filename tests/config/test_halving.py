"""The rungs of a sweep, and what it costs at least and at most."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from tests.conftest import ROOT, config_of
from transfer.config.halving import HalvingConfig, plan_halving
from transfer.config.key import leaves
from transfer.system.errors import ConfigError

FILE = ROOT / "conf/hydra/sweeper/halving.yaml"


def _rungs(*overrides: str, **options: object) -> tuple[list[int], str]:
    node = OmegaConf.merge(OmegaConf.load(FILE), OmegaConf.create(options))
    found = plan_halving(node, [config_of("model=simple_cnn", "weights=none", *overrides)])
    assert found is not None
    return list(found.rungs), str(found)


def test_the_first_rung_lies_after_the_last_unfreeze() -> None:
    assert _rungs("epochs=40", "freeze_epochs=5", keep="paired")[0] == [7, 21]
    assert _rungs("epochs=40", "freeze_epochs=0", keep="share")[0] == [2, 6, 18]
    assert _rungs("epochs=40", "tune=head", keep="paired")[0] == [2, 6, 18]
    # A forecast needs more of a curve, of a short one half of what is left.
    assert _rungs("epochs=40", "freeze_epochs=5")[0] == [19]
    assert _rungs("epochs=40", "freeze_epochs=0", eta=4)[0] == [10]
    assert _rungs("epochs=8", "freeze_epochs=5")[0] == [6]
    assert _rungs("epochs=40", first_rung=10, eta=2)[0] == [10, 20]
    # A small eta comes to each epoch once.
    assert _rungs("epochs=5", "freeze_epochs=0", first_rung=1, eta=1.2)[0] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="none does after the last unfreeze; give it yourself"):
        _rungs("epochs=2", "freeze_epochs=1")


def test_the_epochs_of_a_sweep_lie_between_two_bounds() -> None:
    jobs = [config_of("model=simple_cnn", "weights=none", "epochs=10", "freeze_epochs=0")]
    node = OmegaConf.load(FILE)
    node.first_rung, node.eta, node.keep = 2, 2, "paired"
    halving = plan_halving(node, jobs)
    assert halving is not None and list(halving.rungs) == [2, 4, 8]
    # One configuration of three jobs, and two of one.
    assert halving.least_and_most([3, 1, 1]) == (5 * 2 + 8, 50)
    node.keep = "share"
    halving = plan_halving(node, jobs)
    assert halving is not None
    # Two of three are kept at the first rung, and one at the second.
    assert halving.least_and_most([3, 1, 1]) == (5 * 2 + 2 * 2 + 6, 5 * 2 + 4 * 2 + 3 * 6)
    node.keep = "forecast"
    halving = plan_halving(node, jobs)
    assert halving is not None
    # One job of each, of which two go on at each rung; the others of two of them.
    one_each = 3 * 2 + 2 * 8
    assert halving.least_and_most([3, 1, 1]) == (one_each, one_each + 2 * 10)
    assert "one run of each" in str(halving)


def test_the_file_says_what_is_declared() -> None:
    node, text = OmegaConf.load(FILE), FILE.read_text()
    for name, key, value in leaves(HalvingConfig()):
        assert node[name] == value
        comment = re.search(rf"^{name}: .*#(.*)", text, re.M)
        assert comment is not None
        assert all(choice in text for choice in key.choices)
