"""Kinds of files that people take for pictures and that are not read: what they are, and what
would do. Known by the suffix, or by the first bytes where a name says something else."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from transfer.system.errors import printable

# As many bytes as `kind_of_content` looks at.
_HEAD = 256
# Kinds of files that a line names; it counts the others, too.
_NAMED = 5
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: what such a file is called: "HEIC".
        would_do: the way to a picture that is read.
        suffixes: in lower case.
        picture: whether it shows something.
    """

    name: str
    would_do: str
    suffixes: tuple[str, ...] = ()
    picture: bool = True


_SAVE = "save it as JPEG or PNG"


def _by_magick(name: str, *suffixes: str) -> Kind:
    # A phone writes its suffixes in capitals, and a shell tells them apart.
    small = suffixes[0]
    command = f"magick mogrify -format jpg '*{small}' (or '*{small.upper()}')"
    return Kind(name, f"{_SAVE}, for example with ImageMagick: {command}", suffixes)


_HEIC = _by_magick("HEIC", ".heic", ".heif")
_AVIF = _by_magick("AVIF", ".avif")
_JPEG_XL = _by_magick("JPEG XL", ".jxl")
_JPEG_2000 = _by_magick("JPEG 2000", ".jp2", ".j2k", ".jpx")
_PHOTOSHOP = _by_magick("Photoshop's PSD", ".psd")
_SVG = _by_magick("SVG", ".svg")
_RAW = Kind(
    "a camera's raw file",
    f"{_SAVE} with the program that develops it",
    (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
_DICOM = Kind("DICOM", f"{_SAVE}, with the window that shows what matters", (".dcm", ".dicom"))
_PDF = Kind("PDF", f"{_SAVE}, a page a file", (".pdf",))
_ARRAY = Kind("an array of numpy's", _SAVE, (".npy", ".npz"))
_VIDEO = Kind("a video", "save frames of it as JPEG or PNG", (".mp4", ".mov", ".avi", ".mkv"))
_POINTER = Kind("a pointer of Git LFS", "git lfs pull fetches the picture itself", picture=False)
_PAGE = Kind("a web page, as of a download that failed", "fetch it again", picture=False)
_ARCHIVE = Kind("an archive", "unpack it, and name the folder", picture=False)
_KINDS = (_HEIC, _AVIF, _JPEG_XL, _JPEG_2000, _PHOTOSHOP, _SVG, _RAW, _DICOM, _PDF, _ARRAY, _VIDEO)

_BEGINNINGS = {
    b"\xff\x0a": _JPEG_XL,
    b"\0\0\0\x0cJXL ": _JPEG_XL,
    b"\0\0\0\x0cjP  ": _JPEG_2000,
    b"\xff\x4f\xff\x51": _JPEG_2000,
    b"8BPS": _PHOTOSHOP,
    b"%PDF": _PDF,
    b"\x93NUMPY": _ARRAY,
    b"PK\x03\x04": _ARCHIVE,
    b"\x1f\x8b": _ARCHIVE,
    b"Rar!": _ARCHIVE,
    b"7z\xbc\xaf\x27\x1c": _ARCHIVE,
    b"version https://git-lfs": _POINTER,
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
}
# ISO 14496-12: a box "ftyp" with the main brand and others.
_BRANDS = {b"avif": _AVIF, b"avis": _AVIF, b"heic": _HEIC, b"heix": _HEIC, b"mif1": _HEIC}


def kind_by_suffix(suffix: str) -> Kind | None:
    """The kind of a file by its suffix, in lower case with the dot; None for others."""
    return next((kind for kind in _KINDS if suffix in kind.suffixes), None)


def kind_of_content(path: Path, content: bytes | None = None) -> Kind | None:
    """The kind of a file by its first bytes; None for others, and for what cannot be read.

    Args:
        content: of what is no file of its own; None: that of the file.
    """
    try:
        head = _first_bytes(path) if content is None else content[:_HEAD]
    except OSError:
        return None
    if head[4:8] == b"ftyp":
        # The main brand, and behind its version those that it can be read as.
        length = min(int.from_bytes(head[:4]), len(head))
        brands = [head[at : at + 4] for at in (8, *range(16, length - 3, 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _VIDEO)
    if head[128:132] == b"DICM":
        return _DICOM
    if b"<svg" in head:
        return _SVG
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning) or start.lower().startswith(beginning):
            return kind
    return None


def left_out_text(left_out: Counter[str]) -> str:
    """How many files of which suffix were left out, and what would do for the pictures among them:
    "3 .heic, 1 .txt; HEIC: save it as JPEG or PNG"."""
    most = left_out.most_common(_NAMED)
    counts = [f"{count:,} {printable(suffix)}" for suffix, count in most]
    if rest := left_out.total() - sum(count for _, count in most):
        counts.append(f"{rest:,} other{'s' if rest > 1 else ''}")
    kinds = {kind.name: kind for suffix, _ in most if (kind := kind_by_suffix(suffix))}
    ways = [f"{kind.name}: {kind.would_do}" for kind in kinds.values() if kind.picture]
    return "; ".join([", ".join(counts), *ways])


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
