"""Whether a job can train on stored features: tried before a run of it exists."""

from collections.abc import Callable

import torch
from torch import nn

from transfer.config import Config
from transfer.data import ImageData
from transfer.features.stored import passes
from transfer.models.cut import UncutError, require_cut
from transfer.system.cache import disk_cache
from transfer.system.device import autocast
from transfer.system.errors import ConfigError, first_line
from transfer.system.memory import memory_size

_EXACT = "frozen_features=exact trains the same on images"
# A network is cut in the same way, and gives as much, whatever is trained on it: bytes an image.
_tried: dict[tuple[str, str, int, str, str], int] = {}


def require_stored_features(
    config: Config,
    tune: str,
    data: ImageData,
    device: torch.device,
    make_model: Callable[[], nn.Module],
) -> None:
    """Raise ConfigError where a model cannot be cut before what trains, or where what it gives
    there takes more than memory or disk allow.

    Args:
        config: of the job, with `precision` resolved.
        tune: what trains: "head" or "last:<k>".
        make_model: gives the model on the device; called where the same cut was not tried before.
    """
    name, size = config.model.name, config.image_size
    key = (name, tune, size, config.precision, device.type)
    if key not in _tried:
        try:
            with torch.no_grad(), autocast(device, config.precision):
                _tried[key] = require_cut(make_model(), tune, size)[0].nbytes
        except UncutError as error:
            problem = f"{name} cannot be cut for {tune} ({first_line(error)}); {_EXACT}"
            raise ConfigError("frozen_features", "cache", problem) from error
    if tune != "head":
        _require_within_resident(config, data, _tried[key])
    _require_room(config, data, device, _tried[key])


def _require_within_resident(config: Config, data: ImageData, each: int) -> None:
    """What stages read is large, mostly, and takes the place of the images."""
    images, most = len(data.train) + len(data.val), config.data.resident_gb
    if images * each > most * 1e9:
        larger = f"more than data.resident_gb={most:g}; raise that where there is the memory"
        raise _too_large(images, each, larger, "take fewer stages or a smaller image_size")


def _require_room(config: Config, data: ImageData, device: torch.device, each: int) -> None:
    """Refuse what neither memory nor the cache on disk has room for: most heads read a number a
    channel, which is little, but VGG's and AlexNet's read whole maps."""
    sizes = [len(each) for each in passes(data, config)]
    images = max(len(data.train) + len(data.val) + len(data.test), *sizes)
    # While they are written to the disk, they are in memory twice.
    memory = min(memory_size(device), memory_size(torch.device("cpu"))) / 2
    if images * each > memory:
        larger = f"more than half of the memory, {_gigabytes(memory)}"
        raise _too_large(images, each, larger, "take a smaller image_size or data.train_per_class")
    images, disk = sum(sizes), disk_cache().bound()
    if images * each > disk:
        larger = f"more than the {_gigabytes(disk)} that the cache on disk may take"
        raised = f"{larger}; set TRANSFER_CACHE_GB where there is the room"
        views = "fewer feature_views or a " if config.feature_views > 1 else "a "
        raise _too_large(images, each, raised, f"take {views}smaller image_size")


def _too_large(images: int, each: int, larger: str, smaller: str) -> ConfigError:
    takes = f"takes {_gigabytes(images * each)} of {images:,} images"
    return ConfigError("frozen_features", "cache", f"{takes}, {larger}, or {smaller}; {_EXACT}")


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2g} GB"
