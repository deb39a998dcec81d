"""The data sets that are known by name, each read into memory in one go."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.config.schema import DataConfig, ImageFolderConfig, ShardsConfig
from transfer.data.image_data import Source, Split
from transfer.data.part_folders import folder_root, part_folders
from transfer.data.shard_files import classes_file, part_shards
from transfer.system.errors import ConfigError, first_line
from transfer.system.network import require_network
from transfer.system.torchvision import load_torchvision

# Where Debian's package dataset-fashion-mnist puts its files.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def read_digits(config: DataConfig) -> Source:
    """scikit-learn's copy of the UCI digits: 1,797 of 8x8, levels 0 to 16; no test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = torch.from_numpy(digits.images)
    grey = (levels * (255 / 16)).round().to(torch.uint8)
    labels = torch.from_numpy(digits.target).long()
    classes = tuple(str(name) for name in digits.target_names)
    return Source(classes, Split(_three_channels(grey), labels))


def read_cifar(config: DataConfig) -> Source:
    """CIFAR-10 or CIFAR-100 through torchvision, which checks the MD5 of every file it opens."""
    kind = _cifar(config)
    root = _folder(config)
    archive = root / kind.filename
    names = [name for name, _ in kind.train_list + kind.test_list]
    complete = all((root / kind.base_folder / name).is_file() for name in names)
    if not complete and archive.is_file():
        _require_md5(archive, kind.tgz_md5)
    url = None if complete or archive.is_file() else kind.url
    with _fetching(config, url, f"put {kind.filename} into data.root={root}"):
        parts = [kind(root, train=train, download=not complete) for train in (True, False)]
    train, test = (
        Split(torch.from_numpy(part.data.transpose(0, 3, 1, 2).copy()), torch.tensor(part.targets))
        for part in parts
    )
    return Source(tuple(parts[0].classes), train, test=test)


def read_fashion_mnist(config: DataConfig) -> Source:
    """Fashion-MNIST from `data.root`, Debian's folder, or a download, in this order."""
    kind = load_torchvision().datasets.FashionMNIST
    root = _folder(config)
    folders = (root / "FashionMNIST" / "raw", root, DEBIAN_FASHION_MNIST)
    found = next((folder for folder in folders if _idx_file(folder, "train-labels-idx1")), None)
    if found is None:
        instead = f"put its four IDX files into data.root={root}"
        instead += ", or install Debian's package dataset-fashion-mnist"
        with _fetching(config, kind.mirrors[0] + kind.resources[0][0], instead):
            kind(root, download=True)
        found = folders[0]
    train, test = (
        Split(
            _three_channels(_read_idx(found, f"{part}-images-idx3")),
            _read_idx(found, f"{part}-labels-idx1").long(),
        )
        for part in ("train", "t10k")
    )
    return Source(tuple(kind.classes), train, test=test)


READERS: dict[str, Callable[[DataConfig], Source]] = {
    "digits": read_digits,
    "cifar10": read_cifar,
    "cifar100": read_cifar,
    "fashion_mnist": read_fashion_mnist,
}


def original_files(config: DataConfig) -> list[Path]:
    """The files and folders that a data set is read from, as far as they are there already."""
    if isinstance(config, ImageFolderConfig):
        return [folder_root(config) / name for name in part_folders(config).values()]
    if isinstance(config, ShardsConfig):
        shards = [path for paths in part_shards(config).values() for path in paths]
        named = classes_file(config)
        return shards if named is None else [*shards, named]
    if config.name in ("cifar10", "cifar100"):
        kind = _cifar(config)
        # Reading an archive extracts it beside itself.
        archive = _folder(config) / kind.filename
        return [archive if archive.is_file() else _folder(config) / kind.base_folder]
    if config.name == "fashion_mnist":
        root = _folder(config)
        return [root / "FashionMNIST" / "raw", *sorted(root.glob("*-ubyte*")), DEBIAN_FASHION_MNIST]
    # The digits are small, but importing scikit-learn takes a second. Another version is another
    # file.
    found = find_spec("sklearn")
    return [Path(found.origin)] if found is not None and found.origin else []


def _folder(config: DataConfig) -> Path:
    if not config.root:
        raise ConfigError("data.root", config.root, "give the folder to read from and download to")
    return Path(config.root).expanduser()


def _cifar(config: DataConfig) -> Any:
    """torchvision's class for the data set."""
    datasets = load_torchvision().datasets
    return datasets.CIFAR10 if config.name == "cifar10" else datasets.CIFAR100


@contextmanager
def _fetching(config: DataConfig, url: str | None, instead: str) -> Iterator[None]:
    """Explain what torchvision makes of a failed download or a damaged file.

    Args:
        url: what it is going to download first, if it is.
        instead: what a person can do, beside taking digits.
    """
    instead = f"use data=digits, which needs no network, or {instead}"
    if url is not None:
        require_network(url, key="data", value=config.name, instead=instead)
    try:
        yield
    except (OSError, RuntimeError) as error:
        problem = f"could not be fetched or read ({first_line(error)}); {instead}"
        raise ConfigError("data", config.name, problem) from error


def _require_md5(archive: Path, expected: str) -> None:
    # torchvision would silently download over a damaged archive.
    if not load_torchvision().datasets.utils.check_integrity(str(archive), expected):
        problem = f"{archive.name} there is damaged or not the official one (its MD5 differs)"
        raise ConfigError("data.root", archive.parent, f"{problem}; remove or replace it")


def _three_channels(grey: Tensor) -> Tensor:
    """uint8 [N, H, W] -> [N, 3, H, W]."""
    return grey.unsqueeze(1).expand(-1, 3, -1, -1).contiguous()


def _idx_file(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}-ubyte", folder / f"{stem}-ubyte.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(folder: Path, stem: str) -> Tensor:
    """Read an IDX file of bytes: two zeros, the type, the rank, big-endian sizes, the data."""
    path = _idx_file(folder, stem)
    if path is None:
        raise ConfigError("data.root", folder, f"{stem}-ubyte or {stem}-ubyte.gz is missing there")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        rank = content[3]
        shape = np.frombuffer(content, dtype=">u4", count=rank, offset=4).astype(int)
        values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise ConfigError("data.root", folder, f"{path.name} is damaged ({error})") from error
    return torch.from_numpy(values.copy())
