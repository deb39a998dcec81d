"""A few families in every way in which a model is used; tests/proofs/test_families.py tries all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import WAYS, try_ways, write_images


@pytest.mark.parametrize(
    ("name", "size", "other"),
    [
        ("lenet", 32, 40),
        ("mnasnet0_5", 16, 32),
        ("timm/test_vit", 16, 48),
    ],
)
def test_a_model_trains_in_every_way(name: str, size: int, other: int, tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    assert try_ways(name, size, other, tmp_path / "images", tmp_path) == dict.fromkeys(WAYS, True)
