"""BatchNorm's running statistics, which evaluation uses, in trainings shorter than their memory.

A layer's statistics remember about 1/momentum iterations. torchvision gives MobileNetV3 and the
larger EfficientNets a momentum of 0.01 and MNASNet 0.0003, for the hundred thousand iterations of a
training on ImageNet. In a short training such statistics are those of weights that have long moved
on: the network is right on batches and wrong in evaluation, and a schedule that listens to
validation gives up on it. docs/batchnorm.md has the figures.
"""

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# What torch's layers have unless told otherwise: more would be noise.
_LARGEST = 0.1
# What the statistics remember at most, as a share of an epoch.
_MEMORY = 0.5


class BatchNormMomentum:
    """The momentum of every BatchNorm layer of a model, fitted to a short training.

    Fitted, a layer forgets within half an epoch, or within ten iterations where those are more; one
    that forgets faster stays as it is. When its training begins, it first averages over all batches
    alike, so that what its statistics were before is gone at once: what a layer is made with, or
    those of the images that the weights come from. Each layer counts its own batches: a head has
    had some when what was frozen begins.

    Args:
        model: with its initial weights.
        kind: "fitted", or "published", which leaves the layers as they are.
        iterations: training batches an epoch, 1 or more.
    """

    def __init__(self, model: nn.Module, kind: str, iterations: int) -> None:
        least = min(_LARGEST, 1 / (_MEMORY * iterations))
        self._layers: list[_Layer] = []
        for module in model.modules() if kind == "fitted" else ():
            # A layer without a momentum averages over all batches alike, and goes on so.
            if isinstance(module, _BatchNorm) and module.momentum is not None:
                momentum = max(module.momentum, least)
                self._layers.append(_Layer(module, momentum, _batches(module)))

    def before_epoch(self) -> None:
        """Read how many batches each layer has had: call it where training begins or goes on, with
        the layers in the mode that they train in."""
        for each in self._layers:
            each.module.momentum = each.momentum
            each.done = _batches(each.module) - each.before

    def before_iteration(self) -> None:
        """Set the momenta for the next batch."""
        for each in self._layers:
            if each.module.training:
                each.module.momentum = max(each.momentum, 1 / (each.done + 1))
                each.done += 1

    @property
    def steady(self) -> bool:
        """Whether the momenta of the batch at hand are those of every batch to come."""
        return all(
            each.module.momentum == each.momentum for each in self._layers if each.module.training
        )


@dataclass
class _Layer:
    """A layer, and what is known of it.

    Attributes:
        momentum: once it has had enough batches.
        before: batches that its count began with, as a file of weights had it.
        done: batches that went into its statistics since.
    """

    module: _BatchNorm
    momentum: float
    before: int
    done: int = 0


def _batches(layer: _BatchNorm) -> int:
    """How many batches torch has counted: on a GPU, reading it waits for what is under way."""
    return 0 if layer.num_batches_tracked is None else int(layer.num_batches_tracked)
