"""Which images a folder of class folders holds: `train/cat/1.jpg` is an image of class cat."""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NoReturn

from transfer.data.other_kinds import ARCHIVES, kind_by_suffix
from transfer.system.errors import ConfigError, printable

_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
# What file managers and archives leave behind. So do names with a leading dot.
_CLUTTER = ("__macosx", "@eadir", "thumbs.db", "desktop.ini")
# In which people keep labels.
_TABLES = (".csv", ".tsv", ".xlsx", ".json")


@dataclass(frozen=True)
class Listing:
    """The images below one folder.

    Attributes:
        classes: names of the class folders, sorted.
        samples: path and class number of each image; by class, then by name.
        left_out: how many files of which suffix are no images by name or lie in no class folder.
    """

    classes: tuple[str, ...]
    samples: list[tuple[Path, int]]
    left_out: Counter[str]


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in it, sorted, without what file managers leave behind.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            # Of all but links the disk has told what they are.
            return sorted(
                entry.name
                for entry in entries
                if is_wanted(entry.name)
                and (
                    entry.is_dir(follow_symlinks=False)
                    or (entry.is_symlink() and is_folder(Path(entry.path)))
                )
            )
    except OSError as error:
        refuse_folder(error)


def list_images(folder: Path, no_classes: Collection[Path] = ()) -> Listing:
    """Find the class folders and their images. Links are followed; no folder is read twice.

    Args:
        no_classes: folders, resolved, that are left out, such as a test set beside the classes.

    Raises:
        ConfigError: fewer than two classes; a class without images, or with the other classes in
            it; a folder that cannot be read; a link to nowhere or to a folder around it; a class
            name that cannot be printed.
    """
    names, left_out = [], Counter[str]()
    for name in _names_in(folder):
        path = folder / name
        if no_classes and path.resolve() in no_classes:
            continue
        if is_folder(path):
            if printable(name) != name:
                # It goes into tables, figures and files.
                problem = "a class's name must be UTF-8 without control characters"
                refuse(path, f"{problem}; rename the folder")
            names.append(name)
        else:
            _leave_out(path, left_out)
    if not names:
        refuse_without_classes(folder, left_out, "holds no class folder; make one a class")
    if len(names) < 2:
        _refuse_one_class(folder, names[0])
    samples = []
    for label, name in enumerate(names):
        before = left_out.copy()
        paths = _images_of(folder, folder / name, left_out)
        if not paths:
            would_do = "add some, or remove the folder"
            refuse(folder / name, without_images(left_out - before, would_do))
        samples += [(path, label) for path in paths]
    _require_no_part(folder, names)
    return Listing(tuple(names), samples, left_out)


def require_same_classes(
    root: Path, folders: Mapping[str, str], found: Mapping[str, Listing]
) -> None:
    """Raise ConfigError where val or test has other classes than train.

    Args:
        root: where the folders lie.
        folders: name of each part's folder, such as {"train": "train"}.
        found: what each part's folder holds.
    """
    train = found["train"].classes
    for part, listing in found.items():
        here, there = f"{folders[part]}/", f"{folders['train']}/"
        extra = sorted(set(listing.classes) - set(train))
        missing = sorted(set(train) - set(listing.classes))
        pairs = product(extra, missing)
        alike = [(one, other) for one, other in pairs if as_read(one) == as_read(other)]
        if alike:
            spelt = ", ".join(f"{here}{one} is {there}{other}" for one, other in alike[:5])
            problem = f"one class is spelt in two ways ({spelt}, but for case or accents)"
            refuse(root, f"{problem}; rename one of the folders")
        if extra or missing:
            sides = [(there, missing), (here, extra)]
            only = "; ".join(f"only {side} has {some(names)}" for side, names in sides if names)
            problem = f"{here} and {there} hold different classes: {only}"
            otherwise = f"data.{part}_folder=null holds images out of {there}"
            refuse(root, f"{problem}; give both the same folders, or {otherwise}")


def is_folder(path: Path) -> bool:
    """Whether it is one that can be reached; Path.is_dir raises where that is forbidden."""
    return os.path.isdir(path)  # noqa: PTH112


def is_image(path: Path) -> bool:
    """Whether it is one by its name."""
    return path.name.lower().endswith(_SUFFIXES)


def is_wanted(name: str) -> bool:
    """Whether a file or folder is none of those that file managers leave behind, or hidden."""
    return not name.startswith(".") and name.lower() not in _CLUTTER


def without_images(left_out: Counter[str], otherwise: str) -> str:
    """What is wrong with a folder of no image.

    Args:
        left_out: how many files of which suffix it holds.
        otherwise: what would do where it holds no other kind of picture.
    """
    for suffix, count in left_out.most_common():
        if kind := kind_by_suffix(suffix):
            found = f"holds no image that is read, but {count} {suffix}"
            return f"{found}, which is {kind.name}; {kind.would_do}"
    return f"holds no image ({', '.join(_SUFFIXES)}); {otherwise}"


def some(names: Sequence[str]) -> str:
    """The first five of some names."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(filter(is_wanted, (path.name for path in folder.iterdir())))
    except OSError as error:
        refuse_folder(error)


def _require_no_part(folder: Path, names: Sequence[str]) -> None:
    """Raise ConfigError where a class holds the other classes, as a test set among them would."""
    for name in names:
        with suppress(OSError):
            inside = [entry.name for entry in os.scandir(folder / name) if entry.is_dir()]
            same = sorted(set(inside) & set(names))
            if len(same) > 1:
                problem = f"holds {some(same)}, the classes beside it, and so is no class itself"
                keys = "name it with data.test_folder or data.val_folder, or move it elsewhere"
                refuse(folder / name, f"{problem}; {keys}")


def walk_wanted(
    top: Path, on_error: Callable[[OSError], NoReturn]
) -> Iterator[tuple[str, list[str]]]:
    """Each folder below `top`, itself the first, with the names of the files in it that are wanted;
    links are followed, and no folder comes twice.

    Args:
        on_error: raises the error to give where a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(top, followlinks=True, onerror=on_error):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            # A link led here, in a loop or by a second way.
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(filter(is_wanted, folders))
        yield folder, sorted(filter(is_wanted, files))


def _images_of(split: Path, top: Path, left_out: Counter[str]) -> list[Path]:
    around = (split.resolve(), *split.resolve().parents)
    inside = []
    for folder, files in walk_wanted(top, refuse_folder):
        # Every other class would be read as one more piece of this one.
        if Path(folder).resolve() in around:
            refuse(folder, "is a link to a folder that holds it; remove the link")
        inside.append((folder, files))
    paths = [Path(folder, name) for folder, files in sorted(inside) for name in files]
    for path in paths:
        if not is_image(path):
            _leave_out(path, left_out)
    return list(filter(is_image, paths))


def _leave_out(path: Path, left_out: Counter[str]) -> None:
    try:
        path.stat()
    except OSError as error:
        # It may have been a folder full of images.
        if path.is_symlink():
            refuse(path, "is a link that leads nowhere; mend or remove it", error)
        refuse_folder(error)
    left_out[path.suffix.lower() or "without suffix"] += 1


def as_read(name: str) -> str:
    """Equal for names that a person would read as the same; é, for one, is written in two ways."""
    return unicodedata.normalize("NFC", name).casefold()


def refuse_without_classes(
    folder: Path, left_out: Counter[str], empty: str, one_class: str = ""
) -> NoReturn:
    """Say what a folder holds in place of class folders.

    Args:
        left_out: how many files of which suffix.
        empty: what to say where these are nothing that people take for a data set.
        one_class: what would do if its pictures are of one class.
    """
    pictures = sum(count for suffix, count in left_out.items() if _is_picture(suffix))
    archives = sorted(set(ARCHIVES) & set(left_out))
    tables = sorted(set(_TABLES) & set(left_out))
    if pictures:
        found = "a picture" if pictures == 1 else f"{pictures} pictures"
        problem = f"holds {found} in no class folder, so that nothing says of which class"
        not_read = f"; no {' or '.join(tables)} is read for that" if tables else ""
        refuse(folder, f"{problem}{not_read}; put them into one folder a class{one_class}")
    if archives:
        refuse(folder, f"holds no class folder, but {' and '.join(archives)}: unpack that first")
    refuse(folder, empty)


def _refuse_one_class(folder: Path, name: str) -> NoReturn:
    problem = f"holds one class only ({name}); a classifier needs two or more"
    inside = class_folders(folder / name)
    if len(inside) > 1 and not any(is_image(path) for path in (folder / name).iterdir()):
        problem += f"; if the folders in it are the classes ({some(inside)}), "
        problem += f"name {folder / name} instead"
    refuse(folder, problem)


def _is_picture(suffix: str) -> bool:
    kind = kind_by_suffix(suffix)
    return suffix in _SUFFIXES or (kind is not None and kind.picture)


def refuse_folder(error: OSError) -> NoReturn:
    """Say which folder, or file, cannot be read."""
    refuse(error.filename, f"cannot be read ({error.strerror})", error)


def refuse(path: str | Path | None, problem: str, cause: Exception | None = None) -> NoReturn:
    """Say what is wrong with `data.root`, or with something in it."""
    raise ConfigError("data.root", path, problem) from cause
