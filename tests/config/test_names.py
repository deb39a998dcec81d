"""Names that results were given stay: those of some choices, and those of the recorded runs.

A failure here means that results which people have will not be known again. Where the same keys
shall mean another training, raise RECIPE_VERSION; else find out what renamed them.
"""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.conftest import ROOT, config_of
from transfer.config import Config, configuration, fingerprint, flatten
from transfer.config.fingerprint import RECIPE_VERSION
from transfer.config.key import leaves
from transfer.config.schema import GROUPS, KEYS

DIGESTS = {"data_digest": "d", "weights_digest": "none"}
RUNS = sorted(ROOT.glob("experiments/results/*/runs/*/run.json"))

# Moved, the old names would stand for another training.
DEFAULTS_OF_RECIPE_3 = {
    "adam.backbone_lr_scale": 1.0,
    "adam.betas": [0.9, 0.999],
    "adam.decay_norms": False,
    "adam.head_lr": 0.001,
    "adam.layer_decay": 1.0,
    "adam.lr": 0.001,
    "adam.weight_decay": 0.0001,
    "adamw.backbone_lr_scale": 1.0,
    "adamw.betas": [0.9, 0.999],
    "adamw.decay_norms": False,
    "adamw.head_lr": 0.001,
    "adamw.layer_decay": 1.0,
    "adamw.lr": 0.001,
    "adamw.weight_decay": 0.01,
    "augment.brightness": 0.0,
    "augment.contrast": 0.0,
    "augment.crop_padding": 0,
    "augment.crop_scale": 1.0,
    "augment.cutmix": 0.0,
    "augment.flip": False,
    "augment.hue": 0.0,
    "augment.mix_probability": 0.5,
    "augment.mixup": 0.0,
    "augment.rotation": 0.0,
    "augment.saturation": 0.0,
    "augment.trivial": False,
    "batch_size": 64,
    "batchnorm_momentum": "fitted",
    "class_weights": "none",
    "cosine.end_fraction": 0.0,
    "cosine.warmup_epochs": 1.0,
    "data.fit": "crop",
    "data.fold": None,
    "data.folds": 5,
    "data.mean": None,
    "data.normalization": "weights",
    "data.seed": 0,
    "data.std": None,
    "data.stored_size": None,
    "data.test_fraction": 0.2,
    "data.train_per_class": None,
    "data.validation_fraction": 0.1,
    "epochs": 14,
    "feature_views": 0,
    "freeze_epochs": 5,
    "frozen_features": "exact",
    "image_size": 32,
    "label_smoothing": 0.0,
    "one_cycle.div_factor": 25.0,
    "one_cycle.final_div_factor": 10000.0,
    "one_cycle.pct_start": 0.3,
    "plateau.factor": 0.5,
    "plateau.patience": 2,
    "precision": "auto",
    "protocol.augment_evaluation_of": [],
    "protocol.frozen_batchnorm": "fixed",
    "protocol.result": "best",
    "protocol.validation": "held_out",
    "seed": 0,
    "select_by": "acc",
    "sgd.backbone_lr_scale": 1.0,
    "sgd.decay_norms": False,
    "sgd.head_lr": 0.01,
    "sgd.layer_decay": 1.0,
    "sgd.lr": 0.01,
    "sgd.momentum": 0.9,
    "sgd.nesterov": True,
    "sgd.weight_decay": 0.0005,
    "tune": "all",
}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ("", "fa45e54b240e27c0"),
        ("freeze_epochs=0 seed=1", "09a31090c9125873"),
        ("model=simple_cnn optimizer=sgd schedule=one_cycle", "a3e225e7d66c20ec"),
        ("experiment=article weights=starter", "b9dd91ed54da29aa"),
        ("experiment=fast data=cifar10 precision=bfloat16", "445ad6260a207206"),
        ("experiment=article_as_published model=resnet18 freeze_epochs=0", "bcad657f46935a96"),
        ("frozen_features=cache feature_views=4 schedule=cosine image_size=64", "6713a56a8f20f837"),
        ("freeze_epochs=14 optimizer=adamw augment.flip=true", "c11a54a83064f972"),
    ],
)
def test_names_that_were_given_stay(overrides: str, name: str) -> None:
    assert fingerprint(config_of(*overrides.split()), **DIGESTS) == name


def test_defaults_that_names_leave_out_stay() -> None:
    """Keys that are added later are not asked for: what they change, they change by choice."""
    assert RECIPE_VERSION == 3
    now = _defaults()
    assert {name: now.get(name) for name in DEFAULTS_OF_RECIPE_3} == DEFAULTS_OF_RECIPE_3


def _defaults() -> dict[str, Any]:
    """Those of keys that are part of a result's identity; optimizers and schedules have their
    own."""
    own = ("optimizer", "schedule")
    found = {
        name: key.default
        for name, key in KEYS.items()
        if key.identity and name.partition(".")[0] not in own
    }
    for group in own:
        for choice, cls in GROUPS[group].items():
            found |= {name: key.default for name, key, _ in leaves(cls(), f"{choice}.")}
    return {name: value for name, value in found.items() if not name.endswith(".name")}


@pytest.mark.parametrize("path", RUNS, ids=[path.parent.name for path in RUNS])
def test_recorded_runs_have_the_names_that_their_commands_give(path: Path) -> None:
    run = json.loads(path.read_text())
    tags, params = run["tags"], run["params"]
    digests = {
        "data_digest": params["data.digest"],
        "weights_digest": params["weights.digest"],
    }
    jobs = {fingerprint(config, **digests): config for config in _jobs(tags["transfer.command"])}
    config = jobs[tags["transfer.fingerprint"]]
    assert configuration(config, **digests) == tags["transfer.configuration"]
    assert path.parent.name == f"{run['name']}-{tags['transfer.fingerprint'][:8]}"
    resolved = {"device", "precision"}
    chosen = {
        name: "null" if value is None else str(value) for name, value in flatten(config).items()
    }
    # A sweep that chose its weights by itself tells which it took.
    resolved |= {"weights"} if config.weights == "auto" else set()
    compared = [name for name in params if name in chosen.keys() - resolved]
    assert {name: params[name] for name in compared} == {name: chosen[name] for name in compared}


@cache
def _jobs(command: str) -> list[Config]:
    """Every job of a sweep, as Hydra would compose it now."""
    python, script, multirun, *overrides = shlex.split(command)
    assert (python, script, multirun) == ("python", "train.py", "-m")
    parsed = OverridesParser.create().parse_overrides(overrides)
    [batch] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [config_of(*each) for each in batch]
