"""The training loop: phases, epochs, batches. Knows no MLflow."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from transfer.config import Config
from transfer.config.tune import last_stages
from transfer.data import Batches, ImageData, Split
from transfer.evaluate.metrics import evaluate_logits, evaluation_batch_size
from transfer.features.stored import StoredFeatures
from transfer.models.cut import cut_at
from transfer.models.head import FrozenBackbone
from transfer.models.normalization import Normalization
from transfer.system.bars import bar
from transfer.system.device import autocast, synchronize
from transfer.system.interrupt import deferred
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
from transfer.training.evaluator import Evaluator
from transfer.training.loss import class_weights, steering_loss
from transfer.training.optim import Schedule, build_optimizer, learning_rates
from transfer.training.phase_training import PhaseTraining, TrainedPart
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
        self._evaluator = Evaluator(self.preprocess, config, device)
        iterations = self.train.training_batches()
        self._momentum = BatchNormMomentum(model, config.batchnorm_momentum, iterations)
        self.class_weights = class_weights(
            config.class_weights, data.train.labels, len(data.classes)
        )
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self.best_answers = torch.empty(0, len(data.classes)), torch.empty(0, dtype=torch.long)
        self._restored: dict[str, Any] | None = None
        self._unfinished: UnfinishedEpoch | None = None
        self._generator = torch.Generator()
        self._training: PhaseTraining | None = None

    def epochs(self, stop_after: int | None = None) -> Iterator[Epoch]:
        """Train what is left, or as far as this epoch; yields after each."""
        for phase in plan_phases(self.config):
            done, last = len(self.history), min(phase.last_epoch, stop_after or phase.last_epoch)
            if done >= last:
                continue
            resumed = done >= phase.first_epoch or self._unfinished is not None
            self._training = self._begin(phase, resumed=resumed)
            for number in range(max(phase.first_epoch, done + 1), last + 1):
                self._run_epoch(number, self._training)
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
        if self._training is None:
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
            "optimizer": self._training.optimizer.state_dict(),
            "schedule": self._training.schedule.scheduler.state_dict(),
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
        return self._evaluator.logits(self.model, self.val, epoch)

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """Read the test set, with the best weights, when training is over: logits and labels."""
        self.model.load_state_dict(self.best_weights)
        # Its features and its optimiser take memory, and nothing trains any more.
        self._training = None
        part = self._trained_part(plan_phases(self.config)[-1])
        test = self._batches(self.data.test, self._evaluation_batch)
        if part.features is not None:
            return self._evaluator.logits_of_features(part.network, test, part.features.test())
        return self._evaluator.logits(self.model, test, self.config.epochs + 1)

    def train_logits(self) -> tuple[Tensor, Tensor]:
        """Evaluate at most a thousand training images, with the best weights: logits and labels.

        Call it after `test_logits`. They are as test images are, augmented where
        `protocol.augment_evaluation_of` has it: what lies between the two is then overfitting.
        """
        count = len(self.data.train)
        some = torch.linspace(0, count - 1, min(count, _TRAINING_IMAGES)).long()
        batches = self._batches(self.data.train.subset(some), self._evaluation_batch)
        return self._evaluator.logits(self.model, batches, self.config.epochs + 1)

    def _begin(self, phase: Phase, *, resumed: bool) -> PhaseTraining:
        """The phase's own optimiser and schedule, as they were left where it was interrupted."""
        config = self.config
        optimizer = build_optimizer(self.model, phase, config.optimizer)
        schedule = Schedule(optimizer, phase, self.train.training_batches(), config.schedule)
        if resumed and self._restored is not None:
            optimizer.load_state_dict(self._restored["optimizer"])
            schedule.scheduler.load_state_dict(self._restored["schedule"])
        self._restored = None
        part = self._trained_part(phase)
        weights = self.class_weights
        batch_pass = BatchPass(
            part.network,
            self.preprocess if part.features is None else None,
            len(self.data.classes),
            weights=weights if weights is None else weights.to(self.device),
            smoothing=config.label_smoothing,
            autocast=self.autocast,
        )
        step = TrainingStep(batch_pass, optimizer, self.device, capture=config.cuda_graphs)
        return PhaseTraining(phase, part, optimizer, schedule, batch_pass, step)

    def _run_epoch(self, number: int, training: PhaseTraining) -> None:
        """Train and validate, and take the epoch into the history."""
        iterations = self.train.training_batches()
        epoch = self._unfinished or UnfinishedEpoch.first(number, iterations, self.device)
        self._unfinished = epoch
        self._train_epoch(epoch, training)
        losses = epoch.finished()
        start = time.perf_counter()
        phase, part = training.phase, training.part
        if part.features is not None:
            features = part.features.val()
            # A pass counts once: in the epoch that is the first to need it.
            start -= part.features.spared if number == phase.first_epoch else 0
            logits, labels = self._evaluator.logits_of_features(part.network, self.val, features)
        else:
            logits, labels = self._evaluator.logits(self.model, self.val, number)
        validation = evaluate_logits(logits, labels)
        seconds = epoch.seconds + time.perf_counter() - start
        # The last step may have broken what the losses, computed before it, do not show.
        moment = f"epoch {number}, after its last iteration"
        rate, _ = learning_rates(training.optimizer)
        require_finite(validation.loss, "the validation loss", moment, rate)
        takes_last = self.config.protocol.result == "last"
        with deferred():
            steering = steering_loss(validation, logits, labels, self.class_weights)
            training.schedule.after_epoch(steering)
            best = takes_last or is_best(validation, self.history, self.config.select_by)
            if best:
                state = self.model.state_dict().items()
                self.best_weights = {name: each.to("cpu", copy=True) for name, each in state}
                self.best_answers = logits, labels
            self.history.append(
                epoch.validated(
                    losses,
                    validation,
                    head_alone=phase.head_alone,
                    images=len(self.train.labels),
                    seconds=seconds,
                    best=best,
                )
            )
            self._unfinished = None

    def _train_epoch(self, epoch: UnfinishedEpoch, training: PhaseTraining) -> None:
        """Train on what is left of a pass over the training images; end early where the loss is no
        number."""
        start = time.perf_counter() - epoch.seconds
        generator = self._generator = seed_epoch(self.config.seed, epoch.number)
        train, phase, stored = self.train, training.phase, training.part.features
        if stored is not None:
            train = train.with_inputs(stored.train(epoch.number))
            first_view = epoch.number - phase.first_epoch < max(self.config.feature_views, 1)
            # An epoch that goes on has counted it.
            start -= stored.spared if first_view and epoch.iteration == 0 else 0
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
        with closing(shuffled):
            for images, labels in batches:
                # A signal waits for the end of the batch, where the state is whole.
                with deferred():
                    self._momentum.before_iteration()
                    batch = training.batch_pass.draw(images, labels, generator)
                    loss, correct = training.step(batch, steady=self._momentum.steady)
                    rates = learning_rates(training.optimizer)
                    epoch.count(loss, correct, len(labels), rates)
                    training.schedule.after_iteration()
                    epoch.seconds = time.perf_counter() - start
                if epoch.iteration % _LOOK_EVERY == 0 and not loss.isfinite():
                    break
        synchronize(self.device)
        epoch.seconds = time.perf_counter() - start

    def _batches(self, split: Split, batch_size: int) -> Batches:
        return Batches(split, batch_size, self.device, resident=self.data.resident)

    def _trained_part(self, phase: Phase) -> TrainedPart:
        if last_stages(phase.tune) is None:
            return TrainedPart(self.model, None)
        if self.config.frozen_features == "exact":
            return TrainedPart(FrozenBackbone(self.model) if phase.head_alone else self.model, None)
        cut = cut_at(self.model, phase.tune, self.config.image_size)
        data, device, normalization = self.data, self.device, self.normalization
        features = StoredFeatures(cut, data, self.config, device, normalization)
        return TrainedPart(cut.tail, features)
