"""Every family of models is exported, or it is said which form of it cannot be.

The table in docs/deploy.md holds what was found; PROOF_WRITE=1 writes a model's row, else it is
compared with it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import update_bn

from tests.conftest import ROOT, config_of
from tests.families import write_images
from tests.proofs.test_families import LARGE, ROWS
from transfer.config.schema import AugmentConfig
from transfer.data import DataSets
from transfer.deploy.classifier import load_classifier, save_classifier
from transfer.deploy.description import Description
from transfer.deploy.write import FORMS, write_forms
from transfer.models.families import build_model
from transfer.models.normalization import Normalization
from transfer.system.errors import ConfigError

PAGE = ROOT / "docs" / "deploy.md"
_ROW = re.compile(r"^\| [^|]+ \| (`[^|]+`) \| \d+ \|.*$", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("images")
    write_images(images)
    return images


@pytest.mark.parametrize("row", ROWS, ids=[name for _, name, _, _ in ROWS])
def test_a_family_is_exported(row: tuple[str, str, int, int], folder: Path, tmp_path: Path) -> None:
    family, name, *sizes = row
    marks: list[str] = []
    # With random weights some networks magnify rounding where few pixels are left of an image
    # (EfficientNetV2's float32 at 48 px is 3e-4 from float64, at 96 px 6e-7): what fails at the
    # smallest size is tried at others.
    for size in (*sizes, 96):
        if "no" in marks or not marks:
            tried, marks = size, _try_forms(name, size, folder, tmp_path)
    _compare_or_write(f"| {family} | `{name}` | {tried} | {' | '.join(marks)} |")


def _try_forms(name: str, size: int, folder: Path, tmp_path: Path) -> list[str]:
    """Whether the model can be exported to each form."""
    torch.manual_seed(0)
    model = build_model(name, 2, size)
    if sum(each.numel() for each in model.parameters()) > LARGE * 1e6:
        pytest.skip(f"more than {LARGE} million parameters")
    config = config_of("data=image_folder", f"data.root={folder}", f"image_size={size}").data
    data = DataSets().load(config, size)
    normalization = Normalization(*data.channel_statistics)
    # Without statistics of the images a deep network's outputs would overflow.
    preprocess = normalization.preprocess(size, AugmentConfig())
    update_bn([preprocess(data.train.images)], model)
    path = tmp_path / "weights.safetensors"
    save_classifier(
        model.eval().state_dict(),
        path,
        model_name=name,
        image_size=size,
        classes=data.classes,
        stored_size=size,
        fit="crop",
        normalization=normalization,
    )
    classifier = load_classifier(path, torch.device("cpu"))
    own = (normalization.mean, normalization.std, "logits")
    description = Description(name, "-", "-", data.classes, size, size, "crop", "bilinear", *own)

    def mark(*forms: str) -> str:
        try:
            for written in write_forms(classifier, description, data, forms, tmp_path):
                scores = written.classifier.scores(data.test.images)
                assert scores.shape == (4, 2) and scores.isfinite().all()
        except ConfigError as error:
            print(error)
            return "no"
        return "yes"

    # Together they need one export, and one that fails keeps those after it from being tried.
    return ["yes" for _ in FORMS] if mark(*FORMS) == "yes" else [mark(form) for form in FORMS]


def test_the_table_has_no_other_rows() -> None:
    listed = _ROW.findall(PAGE.read_text())
    assert set(listed) <= {f"`{name}`" for _, name, _, _ in ROWS}
    assert len(listed) == len({*listed}) > 5


def _compare_or_write(row: str) -> None:
    print(row)
    text, [name] = PAGE.read_text(), _ROW.findall(row)
    rows = {found[1]: found[0] for found in _ROW.finditer(text)}
    if not os.environ.get("PROOF_WRITE"):
        assert rows.get(name) == row, "PROOF_WRITE=1 writes docs/deploy.md anew"
    elif name in rows:
        PAGE.write_text(text.replace(rows[name], row))
    else:
        last = [*rows.values()][-1] if rows else "|---|---|---|---|---|---|"
        PAGE.write_text(text.replace(last, f"{last}\n{row}"))
