"""Initial weights for a model: what of them fits, and what is left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor, nn

from transfer.models.families import family_of
from transfer.models.normalization import Normalization
from transfer.system.digest import hex_digest, state_digest
from transfer.system.errors import ConfigError

# What of a run's choices drew its test images: a fold, or a fraction.
_OF_FOLDS = ("data.seed", "data.fold", "data.folds")
_OF_FRACTION = ("data.seed", "data.fold", "data.test_fraction")


@dataclass(frozen=True)
class TrainedOn:
    """The images that weights were trained on, and how they were split.

    Attributes:
        digest, test_digest: content hashes of all images, and of those held out as a test, of
            pictures in files the same whatever they are decoded to.
        split: the choices that drew the test images, as they are typed: data.seed, data.fold, and
            data.folds or, where data.fold is "null", data.test_fraction. Less what is not known.
    """

    digest: str
    test_digest: str
    split: Mapping[str, str]

    @classmethod
    def of_params(cls, params: Mapping[str, str]) -> Self | None:
        """What a run's parameters or the metadata of its file say; None where they do not."""
        # Runs of before the files had a digest have that of the images, as they were decoded.
        digest = params.get("data.files_digest", params.get("data.digest"))
        if digest is None or not {"data.test_digest", "data.seed"} <= params.keys():
            return None
        names = _OF_FRACTION if params.get("data.fold", "null") == "null" else _OF_FOLDS
        split = {name: params[name] for name in names if name in params}
        return cls(digest, params["data.test_digest"], split)

    def metadata(self) -> dict[str, str]:
        """As a safetensors file holds it beside its tensors, by the names of a run's parameters."""
        return {
            "data.files_digest": self.digest,
            "data.test_digest": self.test_digest,
            **self.split,
        }

    def advice(self, chosen: Mapping[str, str]) -> str:
        """What to type for the same split; "" where all of it is chosen already.

        Args:
            chosen: what a job has for each key, as it is typed.
        """
        differing = (each for each in self.split.items() if chosen.get(each[0]) != each[1])
        return " ".join(f"{name}={value}" for name, value in differing)


@dataclass(frozen=True)
class Weights:
    """A state dict and where it came from.

    Attributes:
        source: `weights=` as the user gave it.
        digest: content hash of names, tensors, normalisation and class names, 16 hexadecimal
            digits, or "none".
        state: the model's own parameter names to tensors; None to start from random weights.
        normalization: what they were trained with; None where nobody knows.
        classes: what the last layer of a run's weights tells apart, in the order of its outputs;
            None for weights of others.
        note: where in a file they were found, in words; "" where that is plain.
        trained_on: what a run's weights, or those in its file, were trained on; None where that is
            not known.
    """

    source: str
    digest: str
    state: Mapping[str, Tensor] | None
    normalization: Normalization | None = None
    classes: tuple[str, ...] | None = None
    note: str = ""
    trained_on: TrainedOn | None = None


def weights_digest(
    tensors: str, normalization: Normalization | None, classes: Sequence[str] | None = None
) -> str:
    """A name for weights: equal tensors that read images otherwise, or whose last layer is taken
    over and not drawn, train otherwise.

    Args:
        tensors: `state_digest` of the state dict.
        normalization, classes: what comes with them.
    """
    if normalization is None:
        return tensors
    own = [normalization.metadata(), *(["undone"] if normalization.undone else [])]
    beside = json.dumps([*own, *([list(classes)] if classes else [])])
    return hex_digest([tensors.encode(), beside.encode()])


def make_weights(
    source: str,
    state: Mapping[str, Tensor],
    normalization: Normalization | None,
    classes: tuple[str, ...] | None = None,
    **others: Any,
) -> Weights:
    """Weights with their digest; arguments as Weights has them."""
    digest = weights_digest(state_digest(state), normalization, classes)
    return Weights(source, digest, state, normalization, classes, **others)


@dataclass(frozen=True)
class WeightsMatch:
    """What a model takes over of some weights.

    Attributes:
        loaded: names to tensors.
        left_out: names in the weights that the model has no use for: those of their last layer.
        resized: names of tensors that were interpolated, for they belong to another image size.
        keeps_head: whether the last layer is among those loaded.
        drawn: the layers of the head that start from random numbers, and why.
    """

    loaded: dict[str, Tensor]
    left_out: tuple[str, ...]
    resized: tuple[str, ...] = ()
    keeps_head: bool = False
    drawn: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        words = f"{len(self.loaded)} tensors loaded"
        if self.keeps_head:
            words += ", the last layer too, for the classes are the same"
        if self.drawn:
            layers = ", ".join(f"{layer} ({why})" for layer, why in self.drawn.items())
            words += f"; drawn anew: {layers}"
        if self.left_out:
            words += f"; left out: {', '.join(self.left_out)}"
        if self.resized:
            more = f" and {len(self.resized) - 1} more" if len(self.resized) > 1 else ""
            words += f"; interpolated for this image_size: {self.resized[0]}{more}"
        return words


def match_weights(
    model: nn.Module, weights: Weights, classes: Sequence[str] | None = None
) -> WeightsMatch:
    """Match the weights with `model`, which may lie on the meta device: names and shapes decide.

    The last layer is left out even where its shape fits: ten classes of one data set are not the
    ten of another. Only that of a run which told the same classes apart is taken over. The rest
    of a head (MobileNetV3's first layer of it, say) is taken over where it is there.

    Args:
        classes: what the model is to tell apart.

    Raises:
        ConfigError: a name or shape outside the head does not fit, whether missing or left over.
    """
    if weights.state is None:
        return WeightsMatch({}, ())
    own = model.state_dict()
    family = family_of(model)
    state = family.adapt(model, weights.state)
    head, last_layer = family.head(model) + ".", family.last_layer(model) + "."
    same_task = weights.classes is not None and weights.classes == tuple(classes or ())
    fresh = () if same_task else (last_layer,)
    loaded = {
        name: tensor
        for name, tensor in state.items()
        if name in own and own[name].shape == tensor.shape and not name.startswith(fresh)
    }
    unfit = dict.fromkeys(name for name in (*own, *state) if name not in loaded)
    # The counter is lacking in old checkpoints; only BatchNorm without momentum reads it.
    optional, counter = (head, *family.unused), "num_batches_tracked"
    required = [name for name in unfit if not name.startswith(optional)]
    required = [name for name in required if not name.endswith(counter)]
    if required:
        first = ", ".join(required[:6])
        problem = f"does not fit {type(model).__name__}: {len(required)} names such as {first}"
        problem += f"; the first {_misfit(required[0], own, state)}"
        raise ConfigError("weights", weights.source, problem)
    resized = tuple(
        name for name in loaded if loaded[name].shape != weights.state.get(name, loaded[name]).shape
    )
    unused = tuple(name for name in state if name not in loaded)
    drawn = dict[str, str]()
    for name in own:
        layer = name.rpartition(".")[0]
        if name not in loaded and not name.endswith(counter) and layer not in drawn:
            lacking = "of another shape in the weights" if name in state else "not in the weights"
            drawn[layer] = "for these classes" if name.startswith(fresh) else lacking
    return WeightsMatch(loaded, unused, resized, same_task, drawn)


def _misfit(name: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What is wrong with a tensor that does not fit, in words."""
    if name not in given:
        return "is not in the weights"
    if name not in own:
        return "is not in the model"
    there, here = list(given[name].shape), list(own[name].shape)
    return f"has the shape {there} in the weights and {here} in the model"
