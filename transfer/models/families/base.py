"""What a family of models tells the rest of the project about itself."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from transfer.system.errors import ConfigError, first_line
from transfer.system.network import require_network

NamedModules = list[tuple[str, nn.Module]]


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that a family's makers offer for one model, and the images that they expect.

    Attributes:
        entry: the name that tells them from others for the same model, such as "IMAGENET1K_V2".
        url: of the file.
        mean, std: a value a channel, of images from 0 to 1.
        resize: pixels that the short side is brought to, before the central `crop` of so many
            pixels a side is taken.
        interpolation: "bilinear" or "bicubic".
        imagenet_accuracy: top-1 on ImageNet-1k as the makers give it, 0 to 1; None where they do
            not.
    """

    entry: str
    url: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    crop: int
    interpolation: str
    imagenet_accuracy: float | None = None


@dataclass(frozen=True)
class InputTransform:
    """A scale and a shift, a value a channel: images become ``images * scale + shift``."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]


class Family(ABC):
    """Classifiers that are built in one way, by name. Everything outside the head is backbone."""

    #: Beginnings of the names of tensors in weights that no model of the family has a use for.
    unused: tuple[str, ...] = ()

    @abstractmethod
    def names(self) -> list[str]:
        """Every model that `build` knows."""

    def knows(self, name: str) -> bool:
        """Whether `build` knows this model; overridden where `names` takes long."""
        return name in self.names()

    def present_name(self, name: str) -> str | None:
        """What a name that the family had for a model, or for weights of one, has become:
        "resnet18.gluon_in1k" names weights after the dot. None for a name that it never had."""
        return None

    @abstractmethod
    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        """The model with random weights, drawn from torch's global generator.

        Raises:
            ValueError, AssertionError, RuntimeError: it cannot be built for this size.
        """

    @abstractmethod
    def includes(self, model: nn.Module) -> bool:
        """Whether the model is of this family."""

    @abstractmethod
    def head(self, model: nn.Module) -> str:
        """The module that is the head, such as "fc" or "head.fc": what a new task replaces and
        trains first."""

    @abstractmethod
    def stages(self, model: nn.Module) -> NamedModules:
        """The backbone in the order that images pass through it.

        Returns:
            names and modules that share the model's parameters, each parameter outside the head
            in one of them. A module may be a mere container, which cannot be called.
        """

    def published(self, name: str) -> tuple[PublishedWeights, ...]:
        """Weights for the model `name`, the makers' own choice first; () where there are none."""
        return ()

    def at_hand(self, name: str, weights: PublishedWeights) -> bool:
        """Whether published weights of the model `name` are here already."""
        return _cached(weights.url).is_file()

    def load_published(
        self, name: str, weights: PublishedWeights, source: str
    ) -> Mapping[str, Tensor]:
        """The tensors of published weights under the model's own names, downloaded once.

        Args:
            weights: one of `published(name)`.
            source: `weights=` as the user gave it; errors quote it.

        Raises:
            ConfigError: they are not here and there is no network, or the file is damaged.
        """
        cached = download(weights.url, source)
        try:
            # It reads what was downloaded, archives of torch's early days included.
            state = torch.hub.load_state_dict_from_url(weights.url, weights_only=True)
            return {self.tensor_name(name): tensor for name, tensor in state.items()}
        except Exception as error:
            # A damaged file fails wherever the unpickler happens to be.
            problem = f"{cached} could not be read ({first_line(error)}); remove it and try again"
            raise ConfigError("weights", source, problem) from error

    def tensor_name(self, published: str) -> str:
        """The model's own name for a tensor of its published weights."""
        return published

    def adapt(self, model: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors that belong to an image size, such as position embeddings, as `model` has them
        for its own.

        Args:
            model: may lie on the meta device.
            state: names to tensors; of another network, it is given back as it is.
        """
        return state

    def input_transform(self, name: str) -> InputTransform | None:
        """What the model `name` itself does first to images that were normalised for it; None for
        most."""
        return None

    def is_dense(self, name: str) -> bool:
        """Whether most of the model's work is matmuls and dense convolutions, for which a CPU
        with bfloat16 instructions is faster in bfloat16."""
        return False

    def last_layer(self, model: nn.Module) -> str:
        """The full name of the layer that gives the logits: the head's last linear layer or
        convolution."""
        head = self.head(model)
        modules = model.get_submodule(head).named_modules(prefix=head)
        layers = [name for name, each in modules if isinstance(each, nn.Linear | nn.Conv2d)]
        if not layers:
            raise ValueError(f"{type(model).__name__}.{head} has no linear layer")
        return layers[-1]

    def replace_last_layer(self, model: nn.Module, num_classes: int) -> None:
        """Give `model` a fresh last layer with `num_classes` outputs, drawn as torch draws it."""
        name = self.last_layer(model)
        old = model.get_submodule(name)
        if isinstance(old, nn.Conv2d):
            model.set_submodule(name, nn.Conv2d(old.in_channels, num_classes, kernel_size=1))
        else:
            assert isinstance(old, nn.Linear)
            model.set_submodule(name, nn.Linear(old.in_features, num_classes))


def download(url: str, source: str) -> Path:
    """The file of published weights that an address names, in torch's cache; downloaded once.

    Args:
        source: `weights=` as the user gave it; errors quote it.

    Raises:
        ConfigError: it is not there, and could not be fetched whole.
    """
    cached = _cached(url)
    if cached.is_file():
        return cached
    instead = f"use weights=starter or none, or put that file into {cached.parent}"
    require_network(url, key="weights", value=source, instead=instead)
    # In the name, where it has eight digits or more, as torch's hub has it.
    digest = re.search(r"-([a-f0-9]{8,})\.", cached.name)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cached), digest[1] if digest else None)
    except Exception as error:
        problem = f"{url} could not be fetched ({first_line(error)}); try again, or {instead}"
        raise ConfigError("weights", source, problem) from error
    return cached


def _cached(url: str) -> Path:
    """Where torch keeps what it downloaded from there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def shrinks_map(layer: nn.Module) -> bool:
    """Whether a layer, or one within it, moves over its input by more than a pixel at a time."""
    moving = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
    strides = (each.stride for each in layer.modules() if isinstance(each, moving))
    return any((max(each) if isinstance(each, tuple) else each) > 1 for each in strides)


def left_out_of_patches(model: nn.Module, image_size: int) -> str:
    """A remark on the pixels at the right and lower edges that a network does not read, where its
    first layer cuts images into patches which they do not fill; "" where it reads all of them."""
    first = next((each for each in model.modules() if isinstance(each, nn.Conv2d)), None)
    if first is None or first.kernel_size != first.stride or first.padding not in (0, (0, 0)):
        return ""
    patch = first.stride[0]
    left = image_size % patch
    if not left:
        return ""
    below, above = image_size - left, image_size - left + patch
    read = f"image_size={below} or {above} is read whole" if below else f"try image_size={above}"
    return f"patches of {patch} px leave out {left} of {image_size} px along each edge; {read}"


def group_into_stages(
    layers: Iterable[tuple[str, nn.Module]],
    begins_stage: Callable[[nn.Module], bool] = shrinks_map,
) -> NamedModules:
    """Stages as textbooks count them: each begins where the map of features shrinks.

    Args:
        layers: in the order of the forward pass; poolings may be among them.
        begins_stage: whether a stage begins with a layer.

    Returns:
        Each stage under the name of its first layer with parameters, and without layers that
        have none.
    """
    stages: list[NamedModules] = [[]]
    for name, layer in layers:
        if stages[-1] and begins_stage(layer):
            stages.append([])
        if any(True for _ in layer.parameters()):
            stages[-1].append((name, layer))
    return [as_stage(stage) for stage in stages if stage]


def as_stage(layers: NamedModules) -> tuple[str, nn.Module]:
    """Layers as one, under the name of the first."""
    (name, first), *others = layers
    return name, nn.ModuleList([first, *(layer for _, layer in others)]) if others else first
