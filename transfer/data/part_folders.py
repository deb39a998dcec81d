"""Which folders below `data.root` are the training, validation and test images."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import combinations, permutations
from pathlib import Path
from typing import NoReturn

from transfer.config.schema import DataConfig, ImageFolderConfig
from transfer.data.class_folders import (
    class_folders,
    is_folder,
    is_image,
    is_wanted,
    refuse_without_classes,
    some,
)
from transfer.data.other_kinds import ARCHIVES
from transfer.system.errors import ConfigError

# What people and tools call them, in any case. The first is the default of data.<part>_folder.
PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def folder_root(config: DataConfig) -> Path:
    """`data.root`, with ~ for the home folder."""
    # Path.expanduser raises where there is no such user.
    return Path(os.path.expanduser(config.root or ""))  # noqa: PTH111


def part_folders(config: ImageFolderConfig) -> dict[str, str]:
    """The name of each part's folder, relative to `data.root`, of those that are there.

    The defaults stand for the other usual names, too: `data.val_folder=val` for valid/,
    Validation/ and so on. Without any train folder the class folders lie in `data.root` itself, and
    the train folder is ".".

    Raises:
        ConfigError: a folder is missing; two may be meant; one is, or holds, another part's.
    """
    root = folder_root(config)
    if not is_folder(root):
        _refuse_no_folder(config, root)
    folders = {}
    for part in PART_NAMES:
        name = getattr(config, f"{part}_folder")
        found = None if name is None else _find(root, part, name)
        if found is not None:
            folders[part] = found
        elif part == "train" and name == "train":
            folders[part] = _class_folders_alone(config, root)
        elif name not in (None, part):
            otherwise = "" if part == "train" else "; null holds images out of the train folder"
            problem = f"there is no such folder in {root}{otherwise}"
            raise ConfigError(f"data.{part}_folder", name, problem)
    _require_apart(root, folders)
    return folders


def own_test_folder(config: ImageFolderConfig) -> Path | None:
    """The folder of test images; None where they are held out of the train folder."""
    name = part_folders(config).get("test")
    return None if name is None else folder_root(config) / name


def no_classes(root: Path, folders: dict[str, str]) -> set[Path]:
    """Folders in the train folder that are parts themselves, or are called so beside the classes
    in `data.root`: they are not classes."""
    train = (root / folders["train"]).resolve()
    parts = {(root / name).resolve() for part, name in folders.items() if part != "train"}
    if train == root.resolve():
        called = (_called(root, part) for part in PART_NAMES)
        parts |= {(root / name).resolve() for names in called for name in names}
    return parts


def unused_lines(config: ImageFolderConfig, folders: dict[str, str]) -> Iterator[str]:
    """What else lies beside the parts: images there would be missed by nobody."""
    root = folder_root(config)
    used = {(root / name).resolve() for name in folders.values()}
    refused = (part for part in PART_NAMES if getattr(config, f"{part}_folder") is None)
    declined = {name for part in refused for name in _called(root, part)}
    alone = root.resolve() in used
    beside = no_classes(root, folders) if alone else {root / name for name in class_folders(root)}
    spare = {path.name for path in beside if not _within(path.resolve(), used - {root.resolve()})}
    # A folder that holds a part is there for that.
    spare -= {Path(name).parts[0] for name in folders.values() if Path(name).parts}
    if spare := spare - declined:
        names = some([f"{name}/" for name in sorted(spare)])
        keys = "data.train_folder, data.val_folder and data.test_folder name those that are"
        yield f"{config.root}: not used: {names}; {keys}"
    if hidden := _hidden_with_images(root / folders["train"]):
        names = some([f"{name}/" for name in hidden])
        yield f"{config.root}: not used: {names}; rename what is to be a class without the dot"
    if alone:
        if config.train_folder != ".":
            yield f"{config.root}: has no folder train/; the folders in it are the classes"
        around = root.resolve().parent
        if root.resolve().name.lower() in PART_NAMES["train"]:
            others = [name for part in ("val", "test") for name in _called(around, part)]
            if others:
                names = some([f"{name}/" for name in others])
                yield f"{config.root}: not used: {names} beside it; data.root={around} takes all"


def _find(root: Path, part: str, name: str) -> str | None:
    """The folder that the key of a part means; None where there is none."""
    if is_folder(root / name):
        return name
    if name != PART_NAMES[part][0]:
        return None
    called = _called(root, part)
    if len(called) > 1:
        both = " and ".join(f"{each}/" for each in called)
        problem = f"{root} has {both}; choose one with data.{part}_folder={called[0]}"
        raise ConfigError(f"data.{part}_folder", name, problem)
    return called[0] if called else None


def _called(root: Path, part: str) -> list[str]:
    return [name for name in class_folders(root) if name.lower() in PART_NAMES[part]]


def _hidden_with_images(folder: Path) -> list[str]:
    """Folders that file managers hide for the dot before their name, and that hold images."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(".") and is_folder(path):
                files = [file for file in path.iterdir() if is_wanted(file.name)]
                found += [path.name] if any(map(is_image, files)) else []
    return sorted(found)


def _folders_within(folder: Path) -> tuple[str, ...]:
    """Those in a class's folder, which may hold a thousand files as well; it is read again when
    something was put there or taken away: all jobs of a sweep ask."""
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return tuple(class_folders(folder))
    return _folders_at(folder, changed)


@lru_cache(maxsize=2**16)
def _folders_at(folder: Path, changed: int) -> tuple[str, ...]:
    return tuple(class_folders(folder))


def _class_folders_alone(config: ImageFolderConfig, root: Path) -> str:
    """ "." where the folders of `data.root` are classes and nothing else."""
    parts = {name: part for part in PART_NAMES for name in _called(root, part)}
    names = [name for name in class_folders(root) if name not in parts]
    inside = {name: _folders_within(root / name) for name in names}
    if not names:
        _refuse_no_classes(config, root, parts)
    if problem := _train_below(root, inside) or _same_below(inside):
        raise ConfigError("data.root", config.root, f"needs a folder train/; {problem}")
    return "."


def _train_below(root: Path, inside: Mapping[str, Sequence[str]]) -> str:
    """What to do where the train folder is one deeper; empty where it is not."""
    hold = [
        name
        for name, below in inside.items()
        if any(each.lower() in PART_NAMES["train"] for each in below)
    ]
    if len(hold) < 2:
        return f"there is one in {hold[0]}/: data.root={root / hold[0]}" if hold else ""
    turned = f"if these are the classes, make it train/{hold[0]}/ and so on"
    chosen = f"if each is a data set, choose one, such as data.root={root / hold[0]}"
    return f"there is one in each of {some(hold)}: {turned}; {chosen}"


def _same_below(inside: Mapping[str, Sequence[str]]) -> str:
    """What to do where two folders hold the same ones; empty where no two do."""
    for one, other in combinations([name for name in inside if len(inside[name]) > 1], 2):
        if len(same := sorted(set(inside[one]) & set(inside[other]))) > 1:
            train, rest = (other, one) if _sounds_like(other) == "train" else (one, other)
            part = "val" if _sounds_like(rest) == "val" else "test"
            keys = f"data.train_folder={train} data.{part}_folder={rest} if those are the classes"
            classes = f"data.train_folder=. if {one} and {other} are"
            return f"{one}/ and {other}/ both hold {some(same)}: {keys}, {classes}"
    return ""


def _sounds_like(name: str) -> str | None:
    """The part that a folder's name has the word of: test of images_test."""
    each = (part for part, words in PART_NAMES.items() if any(w in name.lower() for w in words))
    return next(each, None)


def _refuse_no_folder(config: ImageFolderConfig, root: Path) -> NoReturn:
    problem = "there is no such folder"
    if root.is_file():
        archive = root.suffix.lower() in ARCHIVES
        holds = "name the folder that holds train/ or the class folders"
        would_do = "an archive must be unpacked first" if archive else holds
        problem = f"is a file, not a folder; {would_do}"
    raise ConfigError("data.root", config.root, problem)


def _refuse_no_classes(config: ImageFolderConfig, root: Path, parts: Mapping[str, str]) -> NoReturn:
    """Say what is in `data.root`, where that is neither a train folder nor classes."""
    if parts:
        there = " and ".join(f"{name}/" for name in parts)
        name, part = next(iter(parts.items()))
        keys = f"data.train_folder={name} data.{part}_folder=null"
        problem = f"needs a folder train/ beside {there}; {keys} trains on {name}/ instead"
        raise ConfigError("data.root", config.root, problem)
    files = Counter(path.suffix.lower() for path in root.iterdir() if is_wanted(path.name))
    empty = "needs a folder train/ with one folder a class, or the class folders alone"
    around = f", or name the folder around {root.resolve().name}/ if that is a class itself"
    refuse_without_classes(root, files, empty, around)


def _require_apart(root: Path, folders: dict[str, str]) -> None:
    """Raise ConfigError where images of one part would be another's as well."""
    places = {part: (root / name).resolve() for part, name in folders.items()}
    for one, other in permutations(places, 2):
        key, name = f"data.{other}_folder", folders[other]
        if places[one] == places[other]:
            problem = f"is the same folder as data.{one}_folder={folders[one]}; choose another"
            raise ConfigError(key, name, problem)
        # Beside the classes it can be left out.
        beside = one == "train" and places[other].parent == places[one]
        if places[one] in places[other].parents and not beside:
            problem = f"lies within data.{one}_folder={folders[one]}; keep the two apart"
            raise ConfigError(key, name, problem)


def _within(path: Path, folders: Sequence[Path] | set[Path]) -> bool:
    return any(folder in (path, *path.parents) for folder in folders)
