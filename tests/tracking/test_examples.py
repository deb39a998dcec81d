"""Small pictures of test images: bounded, as they are, and read again from the file alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import PLAIN, TINY, Workplace, config_of, write_images
from transfer.job import prepare
from transfer.tracking.artifacts import Predictions
from transfer.tracking.examples import decode, read_examples, write_examples
from transfer.tracking.start import start_run


def _noise(count: int, side: int) -> Iterator[tuple[int, NDArray[np.uint8], str]]:
    random = np.random.default_rng(0)
    for index in range(count):
        yield index, random.integers(0, 256, (3, side, side), dtype=np.uint8), f"a/{index}.jpg"


def test_a_picture_is_as_it_was_and_small(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 200 * 100).astype(np.uint8).reshape(100, 200)
    grey, colour = np.stack([ramp] * 3), np.stack([ramp, ramp[::-1], ramp])
    tiny = np.zeros((3, 9, 5), np.uint8)
    images = [(7, grey, "ä/1.png"), (3, colour, ""), (9, tiny, "")]
    write_examples(tmp_path / "examples.npz", images)
    examples = read_examples(tmp_path / "examples.npz")
    assert list(examples) == [7, 3, 9]
    assert [example.name for example in examples.values()] == ["ä/1.png", "", ""]
    sizes = [decode(example.jpeg).size for example in examples.values()]
    assert sizes == [(64, 32), (64, 32), (5, 9)]
    shown = np.asarray(decode(examples[7].jpeg)).astype(float)
    assert (shown[:, :, 0] == shown[:, :, 1]).all()
    assert abs(shown[16, 32] - 255 / 2).max() < 6
    red, green, _ = np.asarray(decode(examples[3].jpeg)).astype(float)[2, 32]
    assert red < 40 and green > 215


def test_a_file_has_a_megabyte_at_most_and_is_the_same_again(tmp_path: Path) -> None:
    asked = []
    for name in ("one", "two"):
        images = (asked.append(image[0]) or image for image in _noise(1000, 64))
        write_examples(tmp_path / f"{name}.npz", images)
    one, two = ((tmp_path / f"{name}.npz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert 900_000 < len(one) < 1_050_000
    kept = list(read_examples(tmp_path / "one.npz"))
    assert kept == list(range(len(kept))) and len(kept) > 50
    # Of a set that is streamed, what finds no room is not even read.
    assert len(asked) == 2 * (len(kept) + 1)


def test_none_is_a_file_too_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    write_examples(tmp_path / "none.npz", [])
    assert read_examples(tmp_path / "none.npz") == {}
    write_examples(tmp_path / "some.npz", _noise(2, 16))
    with np.load(tmp_path / "some.npz") as saved:
        arrays = dict(saved)
    arrays["jpeg"] = arrays["jpeg"].copy()
    arrays["jpeg"][:4] = 0
    np.savez(tmp_path / "damaged.npz", **arrays)
    with pytest.raises(OSError, match="cannot identify"):
        read_examples(tmp_path / "damaged.npz")
    np.savez(tmp_path / "shorter.npz", **(arrays | {"names": arrays["names"][:1]}))
    with pytest.raises(ValueError, match="shorter"):
        read_examples(tmp_path / "shorter.npz")


@pytest.mark.parametrize("where", ["data.resident_gb=16", "data.resident_gb=0"])
def test_a_run_keeps_its_surest_mistakes_with_their_files(
    where: str, workplace: Workplace, tmp_path: Path
) -> None:
    for part, count in (("train", 8), ("test", 6)):
        write_images(tmp_path / "photos" / part, {"cat": count, "dog": count}, (40, 30))
    photos = ("data=image_folder", f"data.root={tmp_path / 'photos'}", "image_size=32", where)
    store = f"tracking.uri={workplace.store}"
    job = prepare(config_of(*PLAIN, *TINY, *photos, "data.train_per_class=null", store))
    assert job.data.resident == (where != "data.resident_gb=0")
    labels = job.data.test.labels
    # All dogs, the surer the later.
    logits = torch.stack([torch.zeros(12), torch.arange(12.0)], dim=1)
    with start_run(job, folder=tmp_path / "run", sweep=None) as run:
        run.log_predictions(logits, labels, job.data.classes)
        run.log_examples(logits, labels, job.data, most=5)
    stored = workplace.client.download_artifacts(run.id, "examples.npz")
    examples = read_examples(Path(stored))
    answers = Predictions.of_logits(logits.numpy(), labels.numpy(), job.data.classes)
    # Where nothing is said for either, the first class is the answer, which is right.
    assert answers.surest_mistakes.tolist() == [5, 4, 3, 2, 1]
    assert list(examples) == [5, 4, 3, 2, 1]
    names = [example.name for example in examples.values()]
    assert names == [f"test/cat/{index}.jpg" for index in (5, 4, 3, 2, 1)]
    for index, example in examples.items():
        stored_image = job.data.test.take(torch.tensor([index]))[0].permute(1, 2, 0).numpy()
        shown = np.asarray(decode(example.jpeg))
        assert shown.shape == stored_image.shape
        assert abs(shown.astype(int) - stored_image.astype(int)).mean() < 12


def test_none_are_kept_where_none_are_wanted(workplace: Workplace, tmp_path: Path) -> None:
    job = prepare(config_of(*PLAIN, *TINY, f"tracking.uri={workplace.store}"))
    logits = torch.zeros(len(job.data.test), 10)
    with start_run(job, folder=tmp_path, sweep=None) as run:
        run.log_examples(logits, job.data.test.labels, job.data, most=0)
    assert not (tmp_path / "examples.npz").exists()
    assert workplace.client.list_artifacts(run.id) == []
