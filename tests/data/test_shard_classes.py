"""What the classes of labels are called."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.data.tars import write_tar
from transfer.config.schema import ShardsConfig
from transfer.data.shard_classes import classes_and_labels
from transfer.data.shard_files import classes_file
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
    # A mark before the text is none of it.
    (tmp_path / "classes.txt").write_text("dog\n cat\nBär\n\n", "utf-8-sig")
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
        ("2\n1\n0", ["0", "1"], "calls line 0, counted from 0, 2, as if it were another line"),
        ("dog\ncat\ncow", ["1", "dog"], "has names that no training image has as its label: cow"),
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


def test_numbers_may_be_the_names_of_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("0\n1\nnone\n")
    assert _classes(tmp_path, ["1", "0", "none"]) == (("0", "1", "none"), [1, 0, 2])


def test_the_names_lie_beside_the_shards_or_around_them(tmp_path: Path) -> None:
    inside = write_tar(tmp_path / "train" / "0.tar", {}).parent
    write_tar(tmp_path / "val" / "0.tar", {})
    written = [str(tmp_path), f"{tmp_path}/{{train,val}}/0.tar", f"{inside}/0.tar"]
    configs = [ShardsConfig(name="shards", root=root) for root in written]
    assert [classes_file(config) for config in configs] == [None] * 3
    above = tmp_path / "classes.txt"
    above.write_text("dog\ncat")
    # Around the shards of all parts, that is.
    assert [classes_file(config) for config in configs] == [above, above, None]
    beside = inside / "classes.txt"
    beside.write_text("dog\ncat")
    assert [classes_file(config) for config in configs] == [beside] * 3
    beside.write_text("cat\ndog")
    for config in configs[:2]:
        with pytest.raises(ConfigError, match=r"train/classes.txt: differs from .*; leave one"):
            classes_file(config)


def test_other_parts_have_no_classes_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the val shards have classes that the train shards lack"):
        _classes(tmp_path, ["cat", "dog"], ["cow"])
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as text in UTF-8"):
        _classes(tmp_path, ["cat", "dog"])
