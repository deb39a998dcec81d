"""Each departure from the sound protocol does what its name says, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.conftest import TINY, config_of
from transfer.job import prepare
from transfer.models.head import head_name
from transfer.training.trainer import Trainer


def _trainer(*overrides: str) -> Trainer:
    job = prepare(config_of("model=mobilenet_v3_small", *TINY, *overrides))
    return Trainer(job.model(), job.data, job.config, job.device, job.normalization)


def _trained(*overrides: str) -> Trainer:
    trainer = _trainer(*overrides)
    list(trainer.epochs())
    return trainer


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_validation_on_the_test_set_holds_nothing_out() -> None:
    held_out, watched = _trainer().data, _trainer("protocol.validation=test").data
    assert watched.val is watched.test
    assert torch.equal(watched.test.images, held_out.test.images)
    everything = "data.train_per_class=null"
    more = len(_trainer("protocol.validation=test", everything).data.train)
    assert more == len(_trainer(everything).data.train) + len(held_out.val)


def test_the_last_epoch_is_tested() -> None:
    # At this rate some epochs are worse than one before, whatever the rounding.
    unsteady = ("epochs=6", "optimizer.head_lr=1e-3", "optimizer.lr=0.05")
    assert not all(epoch.best for epoch in _trained(*unsteady).history)
    trainer = _trained(*unsteady, "protocol.result=last")
    assert all(epoch.best for epoch in trainer.history)
    assert not _changed(trainer.best_weights, trainer.model.state_dict())


def test_drifting_moves_the_statistics_and_no_parameter() -> None:
    trainer = _trainer("freeze_epochs=2", "protocol.frozen_batchnorm=drifting")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    list(trainer.epochs())
    changed = _changed(before, trainer.model.state_dict())
    moved = {name for name in changed if not name.startswith(head_name(trainer.model))}
    assert {name.rpartition(".")[2] for name in moved} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_only_the_named_model_is_evaluated_on_augmented_images() -> None:
    plain, augmented, other = (
        _trained(f"protocol.augment_evaluation_of={models}", "augment.rotation=15")
        for models in ("[]", "[mobilenet_v3_small]", "[resnet18]")
    )
    assert augmented.history[0].iteration_losses == plain.history[0].iteration_losses
    assert augmented.history[0].val_loss != plain.history[0].val_loss
    assert other.history[0].val_loss == plain.history[0].val_loss
    assert not torch.equal(augmented.test_logits()[0], plain.test_logits()[0])
