"""Which tar files `data.root` means, and which of them are training, validation and test images.

A folder, or names as WebDataset's users write them: `photos-{000000..000099}.tar`, several with
`::` between them, and `*`. A word in a name says which part a file is: `train-0001.tar`,
`imagenet1k-validation-12.tar`, `val/0001.tar`. Where no name has one, all are for training. A name
begins below the folder, or below the last one that all the names written have in common.
"""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NoReturn

from transfer.config.schema import ShardsConfig
from transfer.data.class_folders import (
    is_folder,
    is_wanted,
    refuse,
    refuse_folder,
    some,
    walk_wanted,
)
from transfer.data.part_folders import PART_NAMES, folder_root
from transfer.system.errors import printable

Parts = Mapping[str, Sequence[Path]]

# Of names in braces; a mistyped digit makes millions.
_MOST_FILES = 1_000_000
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4")
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_NO_RANDOM_ACCESS = "a picture in its middle could only be reached through all before it; unpack it"


def part_shards(config: ShardsConfig) -> dict[str, list[Path]]:
    """The tar files of each part that is there, train among them, in the order of their names, or
    of `data.root` where that lists them. By their names alone: of thousands on a network's disk, to
    look at each takes seconds, and each job of a sweep asks.

    Raises:
        ConfigError: there is none, or none for training; or nobody can tell which part one is.
    """
    parts: dict[str, list[Path]] = {}
    unknown = []
    paths = _files(config)
    for path, name in zip(paths, shard_names(config, paths), strict=True):
        found = _parts_in(name)
        if len(found) > 1:
            both = " and ".join(sorted(found))
            refuse(path, f"is called both {both}; rename it so that one of the words is left")
        if found:
            parts.setdefault(found.pop(), []).append(path)
        else:
            unknown.append(path)
    if not parts:
        return {"train": unknown}
    words = "train, val or test"
    if unknown:
        names = some([path.name for path in unknown])
        problem = f"nothing in their names says which part they are: {names}"
        refuse(config.root, f"{problem}; put {words} into each name, or into none")
    if "train" not in parts:
        there = " and ".join(f"{part} shards" for part in parts)
        refuse(config.root, f"holds {there} and none for training; name those train-*.tar")
    return {part: parts[part] for part in PART_NAMES if part in parts}


def require_shards(shards: Sequence[Path]) -> None:
    """Raise ConfigError where a file is missing, compressed or twice there."""
    seen = set()
    for path in shards:
        _require_tar(path)
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            refuse(path, "is there twice; its pictures would count double")
        seen.add((status.st_dev, status.st_ino))


def shard_names(config: ShardsConfig, shards: Sequence[Path]) -> list[str]:
    """What shards are called in results, which others may read: by where they lie below the folder
    of all, and not by where this machine has that."""
    top = _top(config)
    return [printable(PurePath(os.path.relpath(path, top)).as_posix()) for path in shards]


def classes_file(config: ShardsConfig) -> Path | None:
    """`classes.txt` beside the first training shard, or in a folder around that, up to the one of
    all shards; None where there is none.

    Raises:
        ConfigError: there are several that differ.
    """
    first = part_shards(config)["train"][0]
    depth = len(PurePath(os.path.relpath(first, _top(config))).parts)
    folders = [first.parent, *first.parent.parents][:depth]
    paths = [folder / "classes.txt" for folder in folders if is_file(folder / "classes.txt")]
    for other in paths[1:]:
        try:
            same = other.read_bytes() == paths[0].read_bytes()
        except OSError as error:
            refuse_folder(error)
        if not same:
            refuse(paths[0], f"differs from {other}; leave one of the two")
    return paths[0] if paths else None


def is_file(path: Path) -> bool:
    """Whether it is one that can be reached; Path.is_file raises where that is forbidden."""
    return os.path.isfile(path)  # noqa: PTH113


def _top(config: ShardsConfig) -> str:
    """The folder below which the names of shards begin: `data.root`, or the last one that all of
    its patterns lie below, whatever they expand into."""
    root = folder_root(config)
    if is_folder(root):
        return os.path.abspath(root)  # noqa: PTH100
    fixed = [re.split(r"[{*?\[]", pattern)[0] for pattern in (config.root or "").split("::")]
    heads = [os.path.dirname(os.path.expanduser(each)) for each in fixed]  # noqa: PTH111, PTH120
    return os.path.commonpath([os.path.abspath(head) for head in heads])  # noqa: PTH100


def _files(config: ShardsConfig) -> list[Path]:
    root = folder_root(config)
    if not is_folder(root):
        return list(_listed(config))
    paths = [
        Path(folder, name) for folder, names in walk_wanted(root, refuse_folder) for name in names
    ]
    shards = []
    for path in sorted(paths):
        if path.name.lower().endswith(_COMPRESSED):
            _refuse_compressed(path, "compressed")
        if path.suffix.lower() == ".tar":
            shards.append(path)
        else:
            # It may have been a folder full of shards.
            _require_leading(path)
    if not shards:
        refuse(config.root, "holds no .tar file; data=image_folder reads folders of images")
    return shards


def _listed(config: ShardsConfig) -> Iterator[Path]:
    """The files that a pattern means."""
    top = _top(config)

    def wanted(path: str) -> bool:
        return all(map(is_wanted, PurePath(os.path.relpath(path, top)).parts))

    for pattern in (config.root or "").split("::"):
        if not pattern:
            refuse(config.root, "has an empty name before or behind ::")
        if re.match(r"pipe:|[a-z0-9]+://", pattern, re.IGNORECASE):
            problem = "only files on a disk are read, a network's among them, and no command is run"
            refuse(config.root, f"{problem}; mount them, or copy them to a disk")
        for name in _expanded(pattern, config):
            path = os.path.expanduser(name)  # noqa: PTH111
            # First as a plain name, which may have brackets in it.
            if os.path.lexists(path) or not glob.has_magic(path):
                yield Path(path)
            elif found := sorted(filter(wanted, glob.glob(path))):  # noqa: PTH207
                yield from map(Path, found)
            else:
                unreadable = "or its folder cannot be read"
                refuse(config.root, f"there is no file {printable(name)}, {unreadable}")


def _expanded(pattern: str, config: ShardsConfig) -> list[str]:
    """`a-{08..10}.tar` as a-08.tar, a-09.tar, a-10.tar; `{a,b}.tar` as a.tar, b.tar."""
    before, brace, _ = pattern.partition("{")
    if not brace:
        return [pattern]
    end = _end_of_braces(pattern, len(before))
    if end is None:
        refuse(config.root, f"{pattern[len(before) :]} lacks a closing brace")
    heads = _alternatives(pattern[len(before) + 1 : end], config)
    tails = _expanded(pattern[end + 1 :], config)
    if len(heads) * len(tails) > _MOST_FILES:
        refuse(config.root, f"means more than {_MOST_FILES:,} files")
    return [f"{before}{head}{tail}" for head in heads for tail in tails]


def _end_of_braces(pattern: str, start: int) -> int | None:
    depth = 0
    for index in range(start, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[index], 0)
        if depth == 0:
            return index
    return None


def _alternatives(inside: str, config: ShardsConfig) -> list[str]:
    bounds = re.fullmatch(r"([0-9]+)\.\.([0-9]+)", inside)
    if bounds is None:
        # Commas of inner braces are theirs.
        parts, depth = [""], 0
        for char in inside:
            depth += {"{": 1, "}": -1}.get(char, 0)
            if char == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += char
        if len(parts) < 2:
            problem = f"{{{inside}}} is neither a range such as {{00..99}} nor a list {{a,b}}"
            refuse(config.root, problem)
        return [name for part in parts for name in _expanded(part, config)]
    first, last = int(bounds[1]), int(bounds[2])
    if not 0 <= last - first < _MOST_FILES:
        problem = f"{{{inside}}} must count up, by less than {_MOST_FILES:,}"
        refuse(config.root, f"{problem}, as {{000000..000099}} does")
    # As in a shell: zeros at the front of either ask for as many digits as the longer has.
    padded = any(re.match("0[0-9]", each) for each in bounds.groups())
    width = max(map(len, bounds.groups())) if padded else 0
    return [f"{number:0{width}}" for number in range(first, last + 1)]


def _require_tar(path: Path) -> None:
    if path.name.lower().endswith(_COMPRESSED):
        _refuse_compressed(path, "compressed")
    try:
        if not path.is_file():
            _refuse_no_file(path)
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        refuse(path, f"cannot be read ({error.strerror})", error)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            _refuse_compressed(path, f"compressed with {kind}")


def _refuse_no_file(path: Path) -> NoReturn:
    _require_leading(path)
    if path.is_dir():
        alone = "is no file but a folder, which would have to be the whole of data.root"
        refuse(path, f"{alone}; beside others, name its files: {path}/*.tar")
    refuse(path, "is no file" if path.exists() else "there is no such file")


def _require_leading(path: Path) -> None:
    if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110
        refuse(path, "is a link that leads nowhere; mend or remove it")


def _parts_in(name: str) -> set[str]:
    words = re.findall("[a-z]+", PurePath(name).with_suffix("").as_posix().lower())
    return {part for part, called in PART_NAMES.items() if set(called) & set(words)}


def _refuse_compressed(path: Path, how: str) -> NoReturn:
    refuse(path, f"is {how}: {_NO_RANDOM_ACCESS} (pictures are compressed as they are)")
