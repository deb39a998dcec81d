"""What the classes of labels are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.data.tars import write_tar
from transfer.config.schema import ShardsConfig
from transfer.data.shard_classes import classes_and_labels
from transfer.system.errors import ConfigError


def _classes(
    root: Path, train: list[str], val: list[str] | None = None
) -> tuple[tuple[str, ...], list[int]]:
    """The classes, and the numbers of the training images' ones."""
    write_tar(root / "0.tar", {})
    words = list(dict.fromkeys([*train, *(val or [])]))
    used = {"train": torch.tensor([words.index(word) for word in train])}
    if val is not None:
        used["val"] = torch.tensor([words.index(word) for word in val])
    config = ShardsConfig(name="shards", root=str(root))
    classes, numbers = classes_and_labels(config, words, used)
    return classes, numbers[used["train"]].tolist()


def test_numbers_are_names_where_there_are_no_others(tmp_path: Path) -> None:
    assert _classes(tmp_path, ["10", "9", "10"]) == (("9", "10"), [1, 0, 1])
    assert _classes(tmp_path, ["dog", "cat"], ["cat"]) == (("cat", "dog"), [1, 0])
    (tmp_path / "classes.txt").write_text("dog\n cat\nBär\n\n", "utf-8")
    assert _classes(tmp_path, ["1", "dog", "2"]) == (("dog", "cat", "Bär"), [1, 0, 2])


@pytest.mark.parametrize(
    ("names", "train", "words"),
    [
        (None, ["1", "cat"], "numbers (1) and names (cat), and nothing says which number is"),
        (None, ["cat"], "has one class only (cat); a classifier needs two or more"),
        ("dog", ["0"], "has one class only (dog)"),
        ("dog\ncat", ["2"], "has 2 names, and none for the label 2; numbers count the lines from"),
        ("dog\ncat", ["cow"], "has 2 names, and none for the label cow"),
        ("dog\ndog", ["0"], "a name of its own in each line, without control characters; line 2"),
        ("dog\n\ncat", ["0"], "line 2 has none"),
        ("", ["0"], "line 1 has none"),
    ],
)
def test_labels_that_are_no_class_are_refused(
    tmp_path: Path, names: str | None, train: list[str], words: str
) -> None:
    if names is not None:
        (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(ConfigError) as refused:
        _classes(tmp_path, train)
    assert words in str(refused.value)


def test_other_parts_have_no_classes_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the val shards have classes that the train shards lack"):
        _classes(tmp_path, ["cat", "dog"], ["cow"])
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as text in UTF-8"):
        _classes(tmp_path, ["cat", "dog"])
