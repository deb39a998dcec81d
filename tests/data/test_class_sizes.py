"""Classes of different sizes are told, with the largest and the smallest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import PLAIN, config_of, write_images
from transfer.data import uneven_classes
from transfer.job import prepare


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((30, 20, 25), ""),
        ((31, 20, 25), "classes are uneven: from 20 training images (b) to 31 (a)"),
        ((1, 9, 3), "classes are uneven: from 1 training images (a) to 9 (b)"),
        ((5, 5, 0), "classes are uneven: from 0 training images (c) to 5 (a)"),
    ],
)
def test_the_largest_and_the_smallest_class_are_named(sizes: tuple[int, ...], told: str) -> None:
    labels = torch.arange(3).repeat_interleave(torch.tensor(sizes))
    assert uneven_classes(labels, ["a", "b", "c"]) == told


@pytest.mark.parametrize(("rare", "lines"), [(6, 1), (12, 0)])
def test_a_job_tells_it_once(tmp_path: Path, rare: int, lines: int) -> None:
    write_images(tmp_path / "train", {"common": 12, "rare": rare})
    words = ("data=image_folder", f"data.root={tmp_path}", "class_weights=balanced")
    told = [
        line for line in str(prepare(config_of(*PLAIN, *words))).splitlines() if "uneven" in line
    ]
    assert len(told) == lines
    assert all(line.endswith("class_weights=balanced, select_by=acc") for line in told)
