"""Initial weights for a model: what of them fits, and what is left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from transfer.models.families import family_of
from transfer.models.normalization import Normalization
from transfer.system.digest import hex_digest
from transfer.system.errors import ConfigError


@dataclass(frozen=True)
class TrainedOn:
    """The images that weights were trained on, and the seed that split them.

    Attributes:
        digest, test_digest: content hashes of all images, and of those held out as a test, of
            pictures in files the same whatever they are decoded to.
    """

    digest: str
    test_digest: str
    seed: str


@dataclass(frozen=True)
class Weights:
    """A state dict and where it came from.

    Attributes:
        source: `weights=` as the user gave it.
        digest: content hash of names, tensors and normalisation, 16 hexadecimal digits, or "none".
        state: the model's own parameter names to tensors; None to start from random weights.
        normalization: what they were trained with; None where nobody knows.
        trained_on: what a run's weights were trained on; None where that is not known.
    """

    source: str
    digest: str
    state: Mapping[str, Tensor] | None
    normalization: Normalization | None = None
    trained_on: TrainedOn | None = None


def weights_digest(tensors: str, normalization: Normalization | None) -> str:
    """A name for weights: equal tensors that read images otherwise train otherwise.

    Args:
        tensors: `state_digest` of the state dict.
        normalization: what comes with them.
    """
    if normalization is None:
        return tensors
    return hex_digest([tensors.encode(), json.dumps(normalization.metadata()).encode()])


@dataclass(frozen=True)
class WeightsMatch:
    """What a model takes over of some weights.

    Attributes:
        loaded: names to tensors.
        left_out: names in the weights that the model has no use for: those of their last layer.
        resized: names of tensors that were interpolated, for they belong to another image size.
    """

    loaded: dict[str, Tensor]
    left_out: tuple[str, ...]
    resized: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"{len(self.loaded)} tensors loaded"
        if self.left_out:
            words += f"; left out: {', '.join(self.left_out)}"
        if self.resized:
            more = f" and {len(self.resized) - 1} more" if len(self.resized) > 1 else ""
            words += f"; interpolated for this image_size: {self.resized[0]}{more}"
        return words


def match_weights(model: nn.Module, weights: Weights) -> WeightsMatch:
    """Match the weights with `model`, which may lie on the meta device: names and shapes decide.

    The last layer is always left out, even where its shape fits: ten classes of one data set
    are not the ten of another. The rest of a head (MobileNetV3's first layer of it, say) is
    taken over where it is there.

    Raises:
        ConfigError: a name or shape outside the head does not fit, whether missing or left over.
    """
    if weights.state is None:
        return WeightsMatch({}, ())
    own = model.state_dict()
    family = family_of(model)
    state = family.adapt(model, weights.state)
    head, last_layer = family.head(model) + ".", family.last_layer(model) + "."
    loaded = {
        name: tensor
        for name, tensor in state.items()
        if name in own and own[name].shape == tensor.shape and not name.startswith(last_layer)
    }
    unfit = dict.fromkeys(name for name in (*own, *state) if name not in loaded)
    # The counter is lacking in old checkpoints; only BatchNorm without momentum reads it.
    optional, counter = (head, *family.unused), "num_batches_tracked"
    required = [name for name in unfit if not name.startswith(optional)]
    required = [name for name in required if not name.endswith(counter)]
    if required:
        first = ", ".join(required[:6])
        problem = f"does not fit {type(model).__name__}: {len(required)} names such as {first}"
        raise ConfigError("weights", weights.source, problem)
    resized = tuple(
        name for name in loaded if loaded[name].shape != weights.state.get(name, loaded[name]).shape
    )
    return WeightsMatch(loaded, tuple(name for name in state if name not in loaded), resized)
