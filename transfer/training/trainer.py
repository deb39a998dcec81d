"""The training loop: phases, epochs, batches. Knows no MLflow."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from transfer.config import Config
from transfer.config.tune import last_stages
from transfer.data import Batches, ImageData, Split
from transfer.evaluate.metrics import evaluate_logits, evaluation_batch_size, predict_logits
from transfer.features.stored import StoredFeatures
from transfer.models.cut import cut_at
from transfer.models.head import FrozenBackbone
from transfer.models.normalization import Normalization
from transfer.system.bars import bar
from transfer.system.device import autocast, synchronize
from transfer.system.interrupt import deferred
from transfer.system.seeds import numbered_generator
from transfer.training.batch_pass import BatchPass
from transfer.training.batchnorm import BatchNormMomentum
from transfer.training.epoch import (
    Epoch,
    UnfinishedEpoch,
    generators,
    is_best,
    require_finite,
    seed_epoch,
)
from transfer.training.loss import class_weights, steering_loss
from transfer.training.optim import Schedule, build_optimizer, learning_rates
from transfer.training.phases import Phase, plan_phases, set_training_mode
from transfer.training.step import TrainingStep

# A loss that is no number is noticed after so many iterations: to look makes a GPU wait.
_LOOK_EVERY = 100
# So many say to a point or two how accurate a network is on the images that it was trained on.
_TRAINING_IMAGES = 1000


class Trainer:
    """Trains `model` in place over the phases of `config`.

    Args:
        model: on `device`; its head fits the data's classes.
        data: training and validation splits; the test split waits for `test_logits`.
        config: the job, with `precision` resolved.
        device: where the data goes and the arithmetic is done.
        normalization: of the images, as the model's weights want it.

    Attributes:
        history: every epoch so far.
        best_weights: the state dict of the epoch that was best on validation, on the CPU; with
            `protocol.result=last`, that of the last epoch; {} before the first.
        best_answers: that epoch's validation, float32 logits [N, K] and int64 labels [N].
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageData,
        config: Config,
        device: torch.device,
        normalization: Normalization,
    ) -> None:
        self.model = model
        self.normalization = normalization
        self.config = config
        self.device = device
        self.data = data
        self.autocast = autocast(device, config.precision)
        self.preprocess = normalization.preprocess(config.image_size, config.augment)
        self.train = self._batches(data.train, config.batch_size)
        self._evaluation_batch = max(config.batch_size, evaluation_batch_size(config.image_size))
        self.val = self._batches(data.val, self._evaluation_batch)
        iterations = self.train.training_batches()
        self._momentum = BatchNormMomentum(model, config.batchnorm_momentum, iterations)
        self.class_weights = class_weights(
            config.class_weights, self.train.labels, len(data.classes)
        )
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best_answers = torch.empty(0, len(data.classes)), torch.empty(0, dtype=torch.long)
        self._restored: dict[str, Any] | None = None
        self._unfinished: UnfinishedEpoch | None = None
        self._generator = torch.Generator()
        # Each phase has its own.
        self._optimizer: Optimizer | None = None
        self._schedule: Schedule | None = None
        self._pass: BatchPass | None = None
        self._step: TrainingStep | None = None
        self._network = model
        self._stored: StoredFeatures | None = None

    def epochs(self, stop_after: int | None = None) -> Iterator[Epoch]:
        """Train what is left, or as far as this epoch; yields after each."""
        for phase in plan_phases(self.config):
            done, last = len(self.history), min(phase.last_epoch, stop_after or phase.last_epoch)
            if done >= last:
                continue
            resumed = done >= phase.first_epoch or self._unfinished is not None
            optimizer, schedule = self._begin(phase, resumed=resumed)
            for number in range(max(phase.first_epoch, done + 1), last + 1):
                self._run_epoch(number, phase, optimizer, schedule)
                yield self.history[-1]

    @property
    def iteration(self) -> int:
        """Batches done of the epoch that is not over; 0 between epochs."""
        return self._unfinished.iteration if self._unfinished is not None else 0

    def state(self) -> dict[str, Any] | None:
        """All that a bit-identical continuation needs, after an epoch or within one.

        Random generators matter within an epoch alone: each seeds its own.

        Returns:
            None where there is nothing to go on from: nothing was trained since `restore`, or the
            loss is no number.
        """
        if self._optimizer is None or self._schedule is None:
            return None
        unfinished = None
        if self._unfinished is not None and self._unfinished.iteration:
            if not self._unfinished.finite:
                return None
            drawing = generators(self._generator, self.device).items()
            states = self._unfinished.generators or {n: each.get_state() for n, each in drawing}
            unfinished = self._unfinished.state(states)
        return {
            "unfinished": unfinished,
            "model": self.model.state_dict(),
            "best_weights": self.best_weights,
            "best_answers": self.best_answers,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.scheduler.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` gave, in this process or another."""
        self.model.load_state_dict(state["model"])
        self.best_weights = state["best_weights"]
        self.best_answers = state["best_answers"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        if unfinished := state["unfinished"]:
            self._unfinished = UnfinishedEpoch.from_state(unfinished, self.device)
        self._restored = state

    def val_logits(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Validate the weights at hand as after this epoch: logits and labels."""
        return self._logits(self.val, epoch, None)

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """Read the test set, with the best weights: logits and labels."""
        self.model.load_state_dict(self.best_weights)
        self._network, self._stored = self._network_of(plan_phases(self.config)[-1])
        test = self._batches(self.data.test, self._evaluation_batch)
        features = self._stored.test() if self._stored is not None else None
        return self._logits(test, self.config.epochs + 1, features)

    def train_logits(self) -> tuple[Tensor, Tensor]:
        """What the best weights say of training images in evaluation, logits and labels of at most
        a thousand: call it after `test_logits`. They are as test images are, augmented where
        `protocol.augment_evaluation_of` has it: what lies between the two is then overfitting."""
        count = len(self.data.train)
        some = torch.linspace(0, count - 1, min(count, _TRAINING_IMAGES)).long()
        batches = self._batches(self.data.train.subset(some), self._evaluation_batch)
        return self._logits(batches, self.config.epochs + 1, None)

    def _begin(self, phase: Phase, *, resumed: bool) -> tuple[Optimizer, Schedule]:
        """The phase's own optimiser and schedule, as they were left where it was interrupted."""
        optimizer = build_optimizer(self.model, phase, self.config.optimizer)
        schedule = Schedule(optimizer, phase, self.train.training_batches(), self.config.schedule)
        if resumed and self._restored is not None:
            optimizer.load_state_dict(self._restored["optimizer"])
            schedule.scheduler.load_state_dict(self._restored["schedule"])
        self._optimizer, self._schedule, self._restored = optimizer, schedule, None
        self._network, self._stored = self._network_of(phase)
        self._pass = BatchPass(
            self._network,
            self.preprocess if self._stored is None else None,
            len(self.data.classes),
            weights=self.class_weights,
            smoothing=self.config.label_smoothing,
            autocast=self.autocast,
        )
        capture = self.config.cuda_graphs
        self._step = TrainingStep(self._pass, optimizer, self.device, capture=capture)
        return optimizer, schedule

    def _run_epoch(
        self, number: int, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> None:
        iterations = self.train.training_batches()
        training = self._unfinished or UnfinishedEpoch.first(number, iterations, self.device)
        self._unfinished = training
        self._train_epoch(training, phase, optimizer, schedule)
        losses = training.finished()
        start = time.perf_counter()
        features = None
        if self._stored is not None:
            features = self._stored.val()
            # A pass counts once: in the epoch that is the first to need it.
            start -= self._stored.spared if number == phase.first_epoch else 0
        logits, labels = self._logits(self.val, number, features)
        validation = evaluate_logits(logits, labels)
        seconds = training.seconds + time.perf_counter() - start
        # The last step may have broken what the losses, computed before it, do not show.
        moment, (rate, _) = f"epoch {number}, after its last iteration", learning_rates(optimizer)
        require_finite(validation.loss, "the validation loss", moment, rate)
        takes_last = self.config.protocol.result == "last"
        with deferred():
            schedule.after_epoch(steering_loss(validation, logits, labels, self.class_weights))
            best = takes_last or is_best(validation, self.history, self.config.select_by)
            if best:
                state = self.model.state_dict().items()
                self.best_weights = {name: each.to("cpu", copy=True) for name, each in state}
                self.best_answers = logits, labels
            head_lr, backbone_lr = training.rates[0]
            self.history.append(
                Epoch(
                    number=number,
                    head_alone=phase.head_alone,
                    train_loss=sum(losses) / len(losses),
                    train_accuracy=training.correct.item() / training.seen,
                    val_loss=validation.loss,
                    val_accuracy=validation.accuracy,
                    val_balanced_accuracy=validation.balanced_accuracy,
                    head_lr=head_lr,
                    backbone_lr=backbone_lr,
                    seconds=seconds,
                    train_images_per_second=len(self.train.labels) / training.seconds,
                    iteration_losses=losses,
                    best=best,
                )
            )
            self._unfinished = None

    def _train_epoch(
        self, epoch: UnfinishedEpoch, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> None:
        """What is left of a pass over the training images; ends early where the loss is no
        number."""
        start = time.perf_counter() - epoch.seconds
        generator = self._generator = seed_epoch(self.config.seed, epoch.number)
        train = self.train
        if self._stored is not None:
            train = train.with_inputs(self._stored.train(epoch.number))
            first_view = epoch.number - phase.first_epoch < max(self.config.feature_views, 1)
            # An epoch that goes on has counted it.
            start -= self._stored.spared if first_view and epoch.iteration == 0 else 0
        set_training_mode(self.model, phase, self.config.protocol.frozen_batchnorm)
        self._momentum.before_epoch()
        # Drawn before the generator is set to where it was, for the order is its first draw.
        shuffled = train.shuffled(generator, skip=epoch.iteration)
        if epoch.generators is not None:
            # On another kind of device, as near to what was left as can be.
            for name, each in generators(generator, self.device).items():
                if name in epoch.generators:
                    each.set_state(epoch.generators[name])
            epoch.generators = None
        batches = bar(
            shuffled,
            total=self.train.training_batches(),
            initial=epoch.iteration,
            desc=f"epoch {epoch.number}/{self.config.epochs}",
        )
        assert self._pass is not None and self._step is not None
        with closing(shuffled):
            for images, labels in batches:
                # A signal waits for the end of the batch, where the state is whole.
                with deferred():
                    self._momentum.before_iteration()
                    batch = self._pass.draw(images, labels, generator)
                    loss, correct = self._step(batch, steady=self._momentum.steady)
                    epoch.count(loss, correct, len(labels), learning_rates(optimizer))
                    schedule.after_iteration()
                    epoch.seconds = time.perf_counter() - start
                if epoch.iteration % _LOOK_EVERY == 0 and not loss.isfinite():
                    break
        synchronize(self.device)
        epoch.seconds = time.perf_counter() - start

    def _batches(self, split: Split, batch_size: int) -> Batches:
        return Batches(split, batch_size, self.device, resident=self.data.resident)

    def _network_of(self, phase: Phase) -> tuple[nn.Module, StoredFeatures | None]:
        """What a phase trains: the model on images, or its last part on stored features."""
        if last_stages(phase.tune) is None:
            return self.model, None
        if self.config.frozen_features == "exact":
            return FrozenBackbone(self.model) if phase.head_alone else self.model, None
        cut = cut_at(self.model, phase.tune, self.config.image_size)
        data, device, normalization = self.data, self.device, self.normalization
        return cut.tail, StoredFeatures(cut, data, self.config, device, normalization)

    def _logits(
        self, batches: Batches, epoch: int, features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits and labels of a split, from the features of its images where they are stored."""
        if features is not None:
            stored = batches.with_inputs(features).in_order()
            return predict_logits(self._network, stored, self.autocast)
        config, generator = self.config, None
        if config.model.name in config.protocol.augment_evaluation_of:
            generator = numbered_generator(config.seed, epoch)
        with closing(batches.in_order()) as ordered:
            preprocessed = (
                (self.preprocess(images, self.preprocess.draw(images, generator)), labels)
                for images, labels in ordered
            )
            return predict_logits(self.model, preprocessed, self.autocast)
