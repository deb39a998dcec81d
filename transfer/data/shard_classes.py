"""What the labels in shards are called: numbers, names, or the lines of a `classes.txt`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from transfer.config.schema import ShardsConfig
from transfer.data.class_folders import refuse, some
from transfer.data.shard_files import classes_file
from transfer.system.errors import printable


def classes_and_labels(
    config: ShardsConfig, words: Sequence[str], used: Mapping[str, Tensor]
) -> tuple[tuple[str, ...], Tensor]:
    """The names of the classes, and the number of each word's, int64 [W].

    Args:
        words: what labels are called in the shards.
        used: of each part, train among them, the numbers of its images' words, int64 [N].

    Raises:
        ConfigError: there are fewer than two classes; a label is none of them; or some labels are
            numbers and others names, and nothing says which number is which.
    """
    there = {part: {words[each] for each in used[part].unique().tolist()} for part in used}
    path = classes_file(config)
    if path is not None:
        classes = _read_names(path)
        lines = {name: number for number, name in enumerate(classes)}
        numbers = {word: _line_of(word, lines, path) for word in words}
    else:
        classes = _sorted(config, there["train"])
        numbers = {name: number for number, name in enumerate(classes)}
        for part, names in there.items():
            if unknown := sorted(names - there["train"]):
                problem = f"the {part} shards have classes that the train shards lack"
                refuse(config.root, f"{problem}: {some(unknown)}")
    if len(classes) < 2:
        only = f"one class only ({', '.join(classes)})" if classes else "no class"
        refuse(config.root, f"has {only}; a classifier needs two or more")
    if path is not None:
        known = {numbers[word] for word in there["train"]}
        if unused := [name for number, name in enumerate(classes) if number not in known]:
            problem = f"has names that no training image has as its label: {some(unused)}"
            refuse(path, f"{problem}; give those images, or take them out of the file")
    return classes, torch.tensor([numbers.get(word, 0) for word in words], dtype=torch.int64)


def _sorted(config: ShardsConfig, words: set[str]) -> tuple[str, ...]:
    """Numbers by their size, names by the alphabet."""
    names = sorted(word for word in words if not word.isdecimal())
    numbers = sorted(words - set(names), key=int)
    if names and numbers:
        some_of_each = f"numbers ({some(numbers)}) and names ({some(names)})"
        problem = f"its labels are {some_of_each}, and nothing says which number is which"
        refuse(config.root, f"{problem}; put a classes.txt beside the shards, a name a line")
    return tuple(names or numbers)


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        # Editors of Windows put a mark before the text.
        names = [line.strip() for line in path.read_text("utf-8-sig").rstrip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        refuse(path, "cannot be read as text in UTF-8", error)
    seen = set[str]()
    for number, name in enumerate(names):
        if not name or printable(name) != name or name in seen:
            problem = "must have a name of its own in each line, without control characters"
            refuse(path, f"{problem}; line {number + 1} has {name or 'none'}")
        if name.isdecimal() and name != str(number):
            problem = f"calls line {number}, counted from 0, {name}, as if it were another line"
            refuse(path, f"{problem}; give it a name that is no number")
        seen.add(name)
    return tuple(names)


def _line_of(word: str, lines: Mapping[str, int], path: Path) -> int:
    line = lines.get(word, int(word) if word.isdecimal() else len(lines))
    if line >= len(lines):
        problem = f"has {len(lines)} names, and none for the label {word}"
        refuse(path, f"{problem}; numbers count the lines from 0")
    return line
