"""The benchmark measures what it says, and its reference loop is the tutorial's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.speed import folders
from experiments.speed.contest import endless, job_of, reference
from experiments.speed.epochs import streaming_table
from experiments.speed.options import Options
from experiments.speed.predictions import predictions_table
from experiments.speed.race import race_table
from experiments.speed.reference_loop import article_transforms
from experiments.speed.timing import ratios
from tests.conftest import Workplace, write_images
from transfer.config.schema import AugmentConfig
from transfer.system.errors import ConfigError

_FEW = ("model=mobilenet_v3_small", "image_size=32")


def test_both_loops_train_the_same_images_from_the_same_weights() -> None:
    job = job_of(*_FEW, images=100)
    loop = reference(job, frozen=True, workers=0)
    assert len(loop.train_loader.dataset) == len(job.data.train) == 100  # type: ignore[arg-type]
    assert len(loop.test_loader.dataset) == len(job.data.val) == 20  # type: ignore[arg-type]
    before = {name: value.clone() for name, value in loop.model.state_dict().items()}
    assert all(torch.equal(before[name], value) for name, value in job.model().state_dict().items())
    accuracy, _ = loop.epoch()
    assert 0 <= accuracy <= 1
    moved = {
        name for name, each in loop.model.named_parameters() if not torch.equal(each, before[name])
    }
    assert moved and all(name.startswith("classifier") for name in moved)


def test_the_race_unfreezes_and_tests_both_on_the_whole_test_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("data=digits", "epochs=1", "freeze_epochs=0", "batch_size=32")
    table = race_table(
        Options([*words], models="mobilenet_v3_small", images=100, race_epochs=6, rounds=2)
    )
    progress = capsys.readouterr().out
    assert "359 test images" in progress
    assert progress.count("project, seed") == 2 and progress.count("article, epoch") == 6
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert [row[1].split(",")[0] for row in rows] == ["article", "article", "project"]
    final = float(progress.rstrip().rpartition("test accuracy ")[2].rstrip("%"))
    assert [float(row[3].split()[0]) >= final for row in rows[:2]] == [True, True]


def test_unfreezing_trains_the_backbone_at_the_lower_rate() -> None:
    loop = reference(job_of(*_FEW, images=100), frozen=True, workers=0)
    loop.unfreeze()
    before = {name: value.clone() for name, value in loop.model.named_parameters()}
    loop.epoch()
    still = [
        name for name, each in loop.model.named_parameters() if torch.equal(each, before[name])
    ]
    assert not still
    assert loop.optimizer.param_groups[0]["lr"] == 1e-4


def test_an_endless_job_trains_an_epoch_a_call() -> None:
    run = endless(job_of(*_FEW, images=50), frozen=True)
    assert [run().number for _ in range(2)] == [1, 2]  # type: ignore[attr-defined]


def test_resident_and_streamed_images_take_turns() -> None:
    table = streaming_table(
        Options(["weights=none"], models="simple_cnn", images=50, batch_size=25, rounds=1)
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[:3] for row in rows[2:]] == [
        ["simple_cnn", "resident", "25"],
        ["simple_cnn", "streamed", "25"],
    ]
    assert rows[2][4].startswith("1.00")


def test_predictions_are_timed_over_the_same_files_damaged_ones_among_them(
    tmp_path: Path,
) -> None:
    write_images(tmp_path, {"a": 3, "b": 3}, size=(40, 30))
    words = ["data=image_folder", f"data.root={tmp_path}", "augment=none"]
    options = Options(words, models="simple_cnn", images=300, rounds=1)
    table = predictions_table(options)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:5]]
    loops = ["torchvision, one at a time", "torchvision, batches", "predict.py"]
    assert [row[2:4] for row in rows] == [*map(list, zip(loops, ("1", "64", "256"), strict=True))]
    assert rows[0][-1].startswith("1.0 ")
    assert table.endswith("300 pictures, 2 damaged.")


def test_a_start_is_measured_over_growing_copies_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, for others take seconds to start."""
    monkeypatch.setattr(folders, "_apart", folders._first_batch)
    write_images(tmp_path / "train", {"a": 60, "b": 40})
    words = ["weights=none", "data=image_folder", f"data.root={tmp_path}"]
    table = folders.folders_table(Options(words, models="simple_cnn", images=100, clock="cpu"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [count, "2", start] for count in ("20", "50", "100") for start in ("empty cache", "again")
    ]
    # Files and cache hold as much after either, and more of more pictures.
    sizes = [float(row[-2]) for row in rows]
    assert sizes[0] == sizes[1] and sizes == sorted(sizes)
    with pytest.raises(ConfigError, match=r"^images=101: .*/train holds only 100$"):
        folders.folders_table(Options(words, models="simple_cnn", images=101))
    with pytest.raises(ConfigError, match=r"^what=folders: takes copies of pictures: data=image_"):
        folders.folders_table(Options(["weights=none"], models="simple_cnn"))


def test_the_reference_has_the_tutorials_transforms_in_its_order() -> None:
    augment = AugmentConfig(
        **dict.fromkeys(("brightness", "contrast", "saturation"), 0.2),
        crop_padding=4,
        flip=True,
        hue=0.1,
        rotation=15,
    )
    steps = article_transforms(32, [0.5] * 3, [0.2] * 3, augment).transforms
    assert [type(step).__name__ for step in steps] == [
        "Resize",
        "RandomCrop",
        "RandomHorizontalFlip",
        "ColorJitter",
        "RandomRotation",
        "ToTensor",
        "Normalize",
    ]


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([2.0, 8.0, 3.0], [1.0, 2.0, 1.0]).median == 3


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["what=nothing"], "what=nothing: choose from epochs"),
        (["rounds=0"], "rounds=0: must be at least 1"),
        (["what=race", "images=2000", "data=digits"], "images=2000: the data set has only 1295"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(
    workplace: Workplace, words: list[str], line: str
) -> None:
    process = workplace.run("experiments/benchmark.py", *words)
    assert process.returncode == 2
    assert process.stderr.startswith(line)
    assert process.stderr.count("\n") == 1
