"""Each departure from the sound protocol does what its name says, and nothing else."""

from __future__ import annotations

import torch

from tests.trainings import changed, train, trainer_of
from transfer.models.head import head_name


def test_validation_on_the_test_set_holds_nothing_out() -> None:
    held_out, watched = trainer_of().data, trainer_of("protocol.validation=test").data
    assert watched.val is watched.test
    assert torch.equal(watched.test.images, held_out.test.images)
    everything = "data.train_per_class=null"
    more = len(trainer_of("protocol.validation=test", everything).data.train)
    assert more == len(trainer_of(everything).data.train) + len(held_out.val)


def test_the_last_epoch_is_tested() -> None:
    # At this rate some epochs are worse than one before, whatever the rounding.
    unsteady = ("epochs=6", "optimizer.head_lr=1e-3", "optimizer.lr=0.05")
    assert not all(epoch.best for epoch in train(*unsteady)[0].history)
    trainer = train(*unsteady, "protocol.result=last")[0]
    assert all(epoch.best for epoch in trainer.history)
    assert not changed(trainer.best_weights, trainer.model.state_dict())


def test_drifting_moves_the_statistics_and_no_parameter() -> None:
    trainer = trainer_of("freeze_epochs=2", "protocol.frozen_batchnorm=drifting")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    list(trainer.epochs())
    moved = changed(before, trainer.model.state_dict())
    moved = {name for name in moved if not name.startswith(head_name(trainer.model))}
    assert {name.rpartition(".")[2] for name in moved} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_only_the_named_model_is_evaluated_on_augmented_images() -> None:
    plain, augmented, other = (
        train(f"protocol.augment_evaluation_of={models}", "augment.rotation=15")[0]
        for models in ("[]", "[mobilenet_v3_small]", "[resnet18]")
    )
    assert augmented.history[0].iteration_losses == plain.history[0].iteration_losses
    assert augmented.history[0].val_loss != plain.history[0].val_loss
    assert other.history[0].val_loss == plain.history[0].val_loss
    assert not torch.equal(augmented.test_logits()[0], plain.test_logits()[0])
