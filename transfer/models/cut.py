"""A network in two, at the border between what stays frozen and what trains.

Most networks are no sequence of layers: between these they reshape, add position embeddings and
take means. So the network itself is run both times. For the features it is stopped where the first
layer that trains is about to be called; for the rest, that layer is given the features, and each
frozen layer before it gives at once what it gave for one blank image.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from transfer.config.tune import last_stages
from transfer.models.families import family_of
from transfer.models.families.base import NamedModules
from transfer.models.head import backbone_state, features_of, head_alone
from transfer.models.tuned import frozen_stages

# Largest difference of the logits in two from those in one, as a share of the largest logit.
_TOLERANCE = 1e-3


class UncutError(Exception):
    """The network cannot be cut there."""


@dataclass(frozen=True)
class Cut:
    """Two parts of a network.

    Attributes:
        model: the whole; it shares its parameters with the parts.
        features: the frozen part: float [N, 3, H, W] to [N, …], of any type.
        tail: the part that trains: [N, …] to logits [N, K].
        state: parameters and buffers of the frozen part.
    """

    model: nn.Module
    features: Callable[[Tensor], Tensor]
    tail: nn.Module
    state: dict[str, Tensor]


def cut_at(model: nn.Module, tune: str, image_size: int) -> Cut:
    """Cut a network before its head, or before the last stages, as `tune` says; leaves it in
    evaluation mode.

    Args:
        tune: "head" or "last:<k>".
        image_size: pixels.

    Raises:
        UncutError: the first trained layer is not given one tensor.
    """
    if last_stages(tune) == 0:
        tail = head_alone(model)
        return Cut(model, lambda images: features_of(model, images), tail, backbone_state(model))
    stages, frozen = family_of(model).stages(model), frozen_stages(model, tune)
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, image_size, image_size, device=device)
    entry, outputs, layout = _record(model, image, frozen, stages[len(frozen) :])
    frozen_ids = {id(each) for _, stage in frozen for each in _tensors(stage)}
    every = model.state_dict(keep_vars=True).items()
    state = {name: each for name, each in every if id(each) in frozen_ids}
    tail = _Tail(model, entry, outputs, image, layout)
    return Cut(model, lambda images: _caught(model, entry, images), tail, state)


def difference(cut: Cut, images: Tensor) -> float:
    """How far the logits of the two parts are from those of the whole, in evaluation mode: the
    largest difference as a share of the largest logit. Inference is not exact to the last digit.

    Args:
        images: float [N, 3, H, W], N at least 2.
    """
    cut.model.eval()
    with torch.no_grad():
        whole = cut.model(images)
        parts = cut.tail.eval()(cut.features(images))
    if parts.shape != whole.shape:
        return float("inf")
    return ((parts - whole).abs().max() / whole.abs().max().clamp(min=1e-12)).item()


def require_cut(model: nn.Module, tune: str, image_size: int) -> Tensor:
    """Try a cut on two random images.

    Returns:
        their features.

    Raises:
        UncutError: the parts give other logits than the whole.
    """
    size = (2, 3, image_size, image_size)
    images = torch.randn(size, generator=torch.Generator().manual_seed(0))
    images = images.to(next(model.parameters()).device)
    try:
        cut = cut_at(model, tune, image_size)
        apart = difference(cut, images)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UncutError(str(error)) from error
    if not apart <= _TOLERANCE:
        raise UncutError(f"its parts give other logits, by a share of {apart:.2g}")
    with torch.no_grad():
        return cut.features(images)


class _ReachedError(Exception):
    """The layer that what is wanted goes into."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features


def _caught(model: nn.Module, entry: nn.Module, images: Tensor) -> Tensor:
    """What `entry` is given; nothing from it on is run."""

    def catch(_: nn.Module, args: Sequence[Any]) -> None:
        raise _ReachedError(args[0])

    handle = entry.register_forward_pre_hook(catch)
    try:
        model(images)
    except _ReachedError as reached:
        return reached.features
    finally:
        handle.remove()
    raise UncutError("the first trained layer is not called")


class _Tail(nn.Module):
    """From the features on.

    Args:
        entry: the layer that they go into.
        outputs: of the layers before it, for `image`.
        image: float [1, 3, H, W].
        layout: the memory format that they had.
    """

    def __init__(
        self,
        model: nn.Module,
        entry: nn.Module,
        outputs: dict[nn.Module, object],
        image: Tensor,
        layout: torch.memory_format,
    ) -> None:
        super().__init__()
        self.model = model
        # Not registered: they are parts of the model.
        self._parts = entry, outputs, image, layout

    def forward(self, features: Tensor) -> Tensor:
        entry, outputs, image, layout = self._parts
        features = features.contiguous(memory_format=layout)
        handle = entry.register_forward_pre_hook(lambda _, args: (features, *args[1:]))
        try:
            with _replayed(outputs):
                logits: Tensor = self.model(image)
                return logits
        finally:
            handle.remove()


@contextmanager
def _replayed(outputs: dict[nn.Module, object]) -> Iterator[None]:
    """Let each layer give its output without being run."""
    former = {layer: layer.__dict__.get("forward") for layer in outputs}
    for layer, output in outputs.items():
        layer.__dict__["forward"] = lambda *_, _output=output, **__: _output
    try:
        yield
    finally:
        for layer, own in former.items():
            del layer.__dict__["forward"]
            if own is not None:
                layer.__dict__["forward"] = own


def _record(
    model: nn.Module, image: Tensor, frozen: NamedModules, trained: NamedModules
) -> tuple[nn.Module, dict[nn.Module, object], torch.memory_format]:
    """Run the model once: the first trained layer that is called, the outputs of the outermost
    frozen layers that are called before it, and how its input lies in memory."""
    outputs: dict[nn.Module, object] = {}
    given: list[tuple[nn.Module, Sequence[Any]]] = []

    def note(layer: nn.Module, _: object, output: object) -> None:
        if not given:
            outputs[layer] = output

    def first(layer: nn.Module, args: Sequence[Any]) -> None:
        if not given:
            given.append((layer, args))

    handles = [layer.register_forward_hook(note) for layer in _layers(frozen)]
    handles += [layer.register_forward_pre_hook(first) for layer in _layers(trained)]
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        for handle in handles:
            handle.remove()
    if not given or not given[0][1] or not isinstance(given[0][1][0], Tensor):
        raise UncutError("its first trained layer is not given one tensor")
    entry, (features, *_) = given[0]
    inner = {id(part) for layer in outputs for part in list(layer.modules())[1:]}
    outermost = {layer: each for layer, each in outputs.items() if id(layer) not in inner}
    channels_last = features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)
    return entry, outermost, torch.channels_last if channels_last else torch.contiguous_format


def _layers(stages: NamedModules) -> set[nn.Module]:
    return {layer for _, stage in stages for layer in stage.modules()}


def _tensors(stage: nn.Module) -> Iterator[Tensor]:
    yield from stage.parameters()
    yield from stage.buffers()
