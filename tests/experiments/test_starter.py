"""Starter weights made of a real run, and loaded again by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from experiments.starter import StarterCard, _read_data
from tests.conftest import Workplace, write_images
from transfer.models.sources import read_card, read_starter
from transfer.system.errors import ConfigError
from transfer.tracking.run_record import RunRecord


def test_a_finished_run_becomes_a_file_and_its_card(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workplace.folder / "pretraining"
    write_images(folder / "train", {"cat": 100, "dog": 100})
    write_images(folder / "val", {"cat": 8, "dog": 8})
    recipe = (
        "experiment=pretrain",
        "model=mobilenet_v3_small",
        "epochs=1",
        "data.root=pretraining",
    )
    trained = workplace.run("train.py", *recipe)
    assert trained.returncode == 0, trained.stderr
    made = workplace.run("experiments/starter.py", "run=latest", "out=starter")
    assert made.returncode == 0, made.stderr
    monkeypatch.setattr("transfer.models.sources.STARTER_FOLDER", workplace.folder / "starter")
    [run] = workplace.runs()
    card = StarterCard(**read_card("mobilenet_v3_small"))
    assert card == StarterCard(
        model="mobilenet_v3_small",
        data="pretraining",
        data_digest=run.data.params["data.digest"],
        command="python train.py " + " ".join(recipe),
        commit=run.data.tags.get("mlflow.source.git.commit", "unknown"),
        image_size=32,
        mean=card.mean,
        std=card.std,
        interpolation="bilinear",
        epochs=1,
        accuracy=run.data.metrics["test/acc"],
        float16_accuracy=pytest.approx(run.data.metrics["test/acc"], abs=0.07),
        parameters=card.parameters,
        size_mb=pytest.approx(2e-6 * card.parameters, abs=0.01),
        digest=card.digest,
    )
    # Three means and three deviations, those of its training images to four digits.
    texts = [" ".join(f"{value:.4g}" for value in values) for values in (card.mean, card.std)]
    assert texts == [run.data.params[f"normalization.{name}"] for name in ("mean", "std")]
    assert run.data.params["normalization.source"] == "images"
    state = read_starter("mobilenet_v3_small")
    assert not any(name.startswith("classifier.3.") for name in state)
    weights = load_file(workplace.client.download_artifacts(run.info.run_id, "weights.safetensors"))
    assert all((state[name] == weights[name].half()).all() for name in state)


@pytest.mark.parametrize(
    "content",
    [
        "image_size: 32\ndata: {name: image_folder, root: photos, augment: {flip: true}}",
        "image_size: 32\ndata: {name: image_folder, root: photos}",
    ],
)
def test_a_run_with_keys_of_before_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    record = RunRecord("1a", "", "FINISHED", {}, {}, {"mlflow.source.git.commit": "c0ffee"})
    with pytest.raises(
        ConfigError, match=r"made with keys of before .*at its own commit, c0ffee"
    ) as no:
        _read_data(tmp_path / "config.yaml", record)
    assert str(no.value).startswith("run=1a: ") and "\n" not in str(no.value)
