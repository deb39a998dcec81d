"""BatchNorm's running statistics, which evaluation uses, in trainings shorter than their memory.

A layer's statistics remember about 1/momentum iterations. torchvision gives MobileNetV3 and the
larger EfficientNets a momentum of 0.01 and MNASNet 0.0003, for the hundred thousand iterations of a
training on ImageNet. In a short training such statistics are those of weights that have long moved
on: the network is right on batches and wrong in evaluation, and a schedule that listens to
validation gives up on it. docs/batchnorm.md has the figures.
"""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# What torch's layers have unless told otherwise: more would be noise.
_LARGEST = 0.1
# What the statistics remember at most, as a share of an epoch.
_MEMORY = 0.5


def fit_momentum(model: nn.Module, iterations: int) -> None:
    """Let every BatchNorm layer of `model` forget within half an epoch, or within ten iterations
    where those are more; a layer that forgets faster stays as it is.

    Args:
        iterations: training batches an epoch, 1 or more.
    """
    fitted = min(_LARGEST, 1 / (_MEMORY * iterations))
    for module in model.modules():
        # A layer without a momentum averages over all batches alike.
        if isinstance(module, _BatchNorm) and module.momentum is not None:
            module.momentum = max(module.momentum, fitted)
