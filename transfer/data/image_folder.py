"""Your own images: one folder a class."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from transfer.config import ConfigError
from transfer.config.schema import DataConfig, ImageFolderConfig
from transfer.data.image_data import Source, Split
from transfer.vision import torchvision

_Sample = tuple[str, int]


def read_image_folder(config: DataConfig, image_size: int) -> Source:
    """Decode `data.root`'s train folder, and its validation and test folders where they exist.

    Squares of one size up to `image_size` are kept as they are. Else each image is resized so
    that its shorter side is `image_size`, and its central square is kept: memory then depends on
    `image_size`, not on the camera.

    Raises:
        ConfigError: a folder is missing, empty or of one class; the splits' classes differ; a
            file is not an image.
    """
    assert isinstance(config, ImageFolderConfig)
    root = Path(config.root or "").expanduser()
    if not root.is_dir():
        raise ConfigError("data.root", config.root, "there is no such folder")
    chosen = {
        "train": config.train_folder,
        "val": config.val_folder,
        "test": config.test_folder,
    }
    names = {part: name for part, name in chosen.items() if name is not None}
    if not (root / config.train_folder).is_dir():
        problem = f"needs a folder {config.train_folder}/ with one folder a class"
        raise ConfigError("data.root", config.root, problem)
    found = {part: _scan(root / name) for part, name in names.items() if (root / name).is_dir()}
    classes = found["train"][0]
    for part, (other, _) in found.items():
        if other != classes:
            different = ", ".join(sorted(set(other) ^ set(classes))[:5])
            problem = f"{names[part]}/ and {names['train']}/ hold different classes: {different}"
            raise ConfigError("data.root", config.root, problem)
    images = _read_images(
        [path for _, samples in found.values() for path, _ in samples], image_size
    )
    splits, start = {}, 0
    for part, (_, samples) in found.items():
        labels = torch.tensor([label for _, label in samples])
        splits[part] = Split(images[start : start + len(samples)], labels)
        start += len(samples)
    return Source(classes, splits["train"], splits.get("val"), splits.get("test"))


def decode_or_refuse(path: str, *, key: str) -> Image.Image:
    """Open one image as upright RGB.

    Raises:
        ConfigError: the file is no whole image; names the file, under `key`.
    """
    try:
        return _decode(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refusal(key, path, error) from error


def resize_square(image: Image.Image, size: int) -> Image.Image:
    """Resize so that the shorter side is `size` pixels, and keep the central square."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _scan(folder: Path) -> tuple[tuple[str, ...], list[_Sample]]:
    try:
        listing = torchvision.datasets.ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise ConfigError("data.root", folder, str(error)) from error
    if len(listing.classes) < 2:
        problem = f"holds one class only ({listing.classes[0]}); a classifier needs two or more"
        raise ConfigError("data.root", folder, problem)
    return tuple(listing.classes), listing.samples


def _read_images(paths: list[str], image_size: int) -> torch.Tensor:
    """Decode into uint8 [N, 3, H, W]; Pillow decodes outside Python's lock, so threads help."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 16)) as pool:
        sizes = set(pool.map(_size, paths))
        small = len(sizes) == 1 and all(width == height <= image_size for width, height in sizes)
        side = min(sizes)[0] if small else image_size
        images = np.empty((len(paths), side, side, 3), dtype=np.uint8)

        def read(index: int) -> None:
            image = decode_or_refuse(paths[index], key="data.root")
            images[index] = np.asarray(image if small else resize_square(image, side))

        # Consuming the results raises the first error.
        done = pool.map(read, range(len(paths)))
        for _ in tqdm(done, "reading images", len(paths), leave=False, disable=None):
            pass
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _size(path: str) -> tuple[int, int]:
    """Width and height in pixels as displayed, from the header alone."""
    try:
        with Image.open(path) as image:
            rotated = image.getexif().get(0x0112, 1) >= 5
            return (image.height, image.width) if rotated else image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _refusal("data.root", path, error) from error


def _decode(path: str) -> Image.Image:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            # Laid over white; dropping the channel would show whatever colour lies beneath.
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            return Image.alpha_composite(white, rgba).convert("RGB")
        if upright.mode.startswith("I;16"):
            # Pillow would clip 16-bit levels to 255 rather than scale them.
            return Image.fromarray((np.asarray(upright) // 256).astype(np.uint8)).convert("RGB")
        return upright.convert("RGB")


def _refusal(key: str, path: str, error: Exception) -> ConfigError:
    reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
    return ConfigError(key, path, f"cannot be read ({reason}); repair or remove this file")
