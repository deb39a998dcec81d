"""One image file as upright RGB of 8 bits: for training and for predictions alike.

What is in the file is what Pillow makes of it, with these decisions:

- EXIF's orientation is applied; of an animation the first frame counts.
- Transparent pixels are laid over white, as paper and most viewers show them. Dropping alpha
  would show whatever colour lies beneath, often black.
- Levels of more than 8 bits are scaled by their declared depth: the upper 8 bits stay. Floating
  point and signed levels have no agreed black and white, and are refused.
- CMYK is converted without its colour profile.
- A damaged or truncated file is refused, not shown in part.
"""

import ctypes
import io
import logging
import stat
import threading
import warnings
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging

from transfer.data.other_kinds import kind_of_content
from transfer.system.errors import ConfigError, first_line

# Tried on the file's first bytes, whatever its name says. Pillow knows more kinds, among them
# EPS, which it hands to Ghostscript to run.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")

# A "decompression bomb" declares a size that fills the memory. This is Pillow's own bound: above
# 89 million pixels, 268 MB as RGB.
MAX_PIXELS = 89_478_485
_TOO_MANY_PIXELS = f"more than {MAX_PIXELS / 1e6:.0f} million pixels"
# Some decoders read the whole file first; 16-bit RGB of MAX_PIXELS takes 537 MB.
MAX_BYTES = 2**30

# Larger images are decoded one at a time: with alpha they take up to 19 bytes a pixel, and every
# thread may be at one.
_LARGE_PIXELS = 4_000_000
_large = threading.Lock()

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# From here on width and height change places.
_ON_ITS_SIDE = 5
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x0112, 258, 262
_WHITE_IS_ZERO = 0


@cache
def _silence_remarks() -> None:
    """A file is judged by whether it decodes; remarks on it would only mix with our one line.

    For the process and not for the call: threads decode at the same time.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # libtiff writes to the process's standard error, past Python. Its switch is no part of
    # Pillow, but is found through Pillow's library where that is linked to it.
    silence = getattr(ctypes.CDLL(_imaging.__file__), "TIFFSetErrorHandler", None)
    if silence is not None:
        silence(None)


def decode_or_refuse(
    path: Path,
    *,
    key: str,
    content: bytes | None = None,
    side: int | None = None,
    fit: str = "crop",
    interpolation: str = "bilinear",
) -> Image.Image:
    """Open one image as upright RGB.

    Args:
        content: of a picture that is no file of its own, and that `path` then only names; None:
            that of the file.
        side: in pixels; None: the whole image. Else a square of at most this side: the image
            itself if it is one, and what `resize_square` makes of it if it is not; the image's
            shape then is its `info["shape"]`, width and height. Of a JPEG of more than 4 million
            pixels only a half, a quarter or an eighth of the resolution is then decoded, as long as
            four times `side` remain; its shape is the file's all the same.
        fit, interpolation: as `resize_square` has them.

    Raises:
        ConfigError: the file is no whole image; names the file, under `key`.
    """
    _silence_remarks()
    try:
        with _opened(path, content) as file:
            return _decode(file, side, fit, interpolation)
    # Decoders fail over damaged bytes in whatever way the damage leads them to: KeyError,
    # struct.error, MemoryError… To the user all of them mean one thing.
    except Exception as error:
        reason, would_do = _reason(error), "repair or remove this file"
        if reason == _TOO_MANY_PIXELS:
            would_do = "save it smaller, or remove it"
        unknown = isinstance(error, UnidentifiedImageError)
        if unknown and (kind := kind_of_content(path, content)):
            reason, would_do = f"it is {kind.name}", kind.would_do
        problem = f"cannot be read ({reason}); {would_do}"
        raise ConfigError(key, path, problem) from error


def resize_square(
    image: Image.Image, size: int, fit: str = "crop", interpolation: str = "bilinear"
) -> Image.Image:
    """Make an image a square of `size` pixels.

    Args:
        fit: "crop" resizes it so that its shorter side is `size`, and keeps the central square;
            "squash" resizes both sides; "pad" resizes it so that its longer side is `size`, and
            lays it in the middle of a black square.
        interpolation: "bilinear" or "bicubic"; what becomes smaller is averaged.
    """
    method = _RESAMPLING[interpolation]
    if fit == "squash":
        return image.resize((size, size), method)
    if fit == "pad":
        return ImageOps.pad(image, (size, size), method, color="black")
    return ImageOps.fit(image, (size, size), method)


class _RefusedError(Exception):
    """Its words are the reason."""


def _opened(path: Path, content: bytes | None) -> BinaryIO:
    if content is None:
        # Opening a pipe would wait forever, and a device never ends.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _RefusedError("not a regular file")
        size = status.st_size
    else:
        size = len(content)
    if size == 0:
        raise _RefusedError("empty")
    if size > MAX_BYTES:
        raise _RefusedError(f"{size / 2**30:.1f} GiB; the limit is 1 GiB")
    # The file object keeps Pillow from mapping the file into memory, where a file that shrinks
    # meanwhile would kill the process.
    return path.open("rb") if content is None else io.BytesIO(content)


def _decode(file: BinaryIO, side: int | None, fit: str, interpolation: str) -> Image.Image:
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _RefusedError(_TOO_MANY_PIXELS)
        declared = image.size
        if side is not None and image.width * image.height > _LARGE_PIXELS:
            image.draft(None, (4 * side, 4 * side))
        reduced = image.size != declared
        with _large if image.width * image.height > _LARGE_PIXELS else nullcontext():
            image.load()
            orientation = _orientation(image)
            method = _UPRIGHT.get(orientation)
            rgb = _to_rgb(image)
            upright = rgb if method is None else rgb.transpose(method)
            if side is None:
                return upright
            shape = upright.size
            if reduced:
                shape = declared[::-1] if orientation >= _ON_ITS_SIDE else declared
            if not upright.width == upright.height <= side:
                upright = resize_square(upright, side, fit, interpolation)
            upright.info["shape"] = shape
            return upright


def _orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1, upright, where it is absent or unreadable."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # Remarks about a picture are damaged, not the picture.
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Grey levels of more than 8 bits, which Pillow itself would clip to 255, as uint8 [H, W]."""
    tags = getattr(image, "tag_v2", {})
    # PNG and PPM have 16 bits under this mode, TIFF 32 or signed ones.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise _RefusedError("floating-point, signed or 32-bit levels; save it with 8 or 16 bits")
    depth = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    levels = np.asarray(image)
    grey = (levels >> (depth - 8)).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    if "transparency" in image.info:
        grey[levels == image.info["transparency"]] = 255
    return grey


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, GIF, BMP, TIFF, WebP or PPM image, or its header is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return _TOO_MANY_PIXELS
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)
