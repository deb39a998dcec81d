"""What a training pass reads lies on its device, shown where there is none: a meta tensor, too,
computes with its like alone."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from tests.conftest import ROOT, TINY, config_of
from transfer.job import prepare
from transfer.models.families import build_model
from transfer.training import evaluator, trainer
from transfer.training.phases import plan_phases
from transfer.training.trainer import Trainer

META = torch.device("meta")
MODEL = ("model=simple_cnn", "weights=none")
AUGMENTATIONS = sorted(path.stem for path in (ROOT / "conf" / "augment").glob("*.yaml"))


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize(
    "choices",
    [
        ("class_weights=balanced", "label_smoothing=0.1", "freeze_epochs=1"),
        ("class_weights=balanced", "augment.mixup=0.2", "augment.cutmix=1"),
        ("optimizer=sgd", "optimizer.layer_decay=0.7", "tune=last:1", "schedule=one_cycle"),
    ],
)
def test_a_pass_computes_on_its_device(
    choices: tuple[str, ...], augment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is no other precision on the meta device.
    for module in (trainer, evaluator):
        monkeypatch.setattr(module, "autocast", lambda device, precision: nullcontext())
    job = prepare(config_of(*MODEL, *TINY, *choices, f"augment={augment}"))
    model = build_model("simple_cnn", len(job.data.classes), job.config.image_size)
    made = Trainer(model, job.data, job.config, META, job.normalization)
    for phase in plan_phases(job.config):
        batch_pass = made._begin(phase, resumed=False).batch_pass
        # After the optimiser, whose fused update there is none of on the meta device.
        made.model.to(META)
        generator = torch.Generator()
        images, labels = next(iter(made.train.shuffled(generator)))
        loss, correct = batch_pass(batch_pass.draw(images, labels, generator))
        assert loss.device == correct.device == META
        loss.backward()
        made.model.to_empty(device="cpu")
