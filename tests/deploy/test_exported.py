"""Exported files: written, checked, read again, and refused where they are not what they say."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.conftest import config_of, files_up_to
from transfer.data import DataSets, ImageData
from transfer.deploy import packages, write
from transfer.deploy.card import write_card
from transfer.deploy.classifier import Classifier, load_classifier, save_classifier
from transfer.deploy.description import Description
from transfer.deploy.exported import load_exported, onnx_session
from transfer.deploy.network import export_program, quiet
from transfer.deploy.write import FORMS, Written, all_scores, write_forms
from transfer.models.families import build_model
from transfer.models.normalization import Normalization
from transfer.system.disk import DiskError
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock


@pytest.fixture(scope="module")
def data() -> ImageData:
    return DataSets().load(config_of("data=digits").data, 32)


@pytest.fixture(scope="module")
def classifier(data: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_classifier(
        build_model("simple_cnn", 10, 32).state_dict(),
        path,
        model_name="simple_cnn",
        image_size=32,
        classes=data.classes,
        stored_size=8,
        fit="pad",
        normalization=Normalization(*data.channel_statistics),
    )
    return load_classifier(path, torch.device("cpu"))


def _describe(classifier: Classifier, output: str = "probabilities") -> Description:
    return Description(
        model="simple_cnn",
        run_id="0123",
        run_name="a run",
        classes=tuple(classifier.classes),
        image_size=32,
        stored_size=8,
        fit="pad",
        interpolation="bilinear",
        mean=tuple(classifier.preprocess.mean.flatten().tolist()),
        std=tuple(classifier.preprocess.std.flatten().tolist()),
        output=output,
    )


@pytest.fixture(scope="module")
def written(
    classifier: Classifier, data: ImageData, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Written]:
    folder = tmp_path_factory.mktemp("exported")
    # As a kill leaves it.
    (folder / "unfinished-forms").mkdir()
    (folder / "unfinished-forms" / "float.onnx").write_bytes(b"half a fi")
    forms = write_forms(classifier, _describe(classifier), data, list(FORMS), folder)
    found = {each.form: each for each in forms}
    write_card(found["onnx"].path, {})
    assert {each.name for each in folder.iterdir()} == {*FORMS.values(), "model.onnx.json"}
    return found


def test_one_command_exports_into_a_folder(
    classifier: Classifier, data: ImageData, tmp_path: Path
) -> None:
    with Lock(tmp_path / "unfinished-forms.lock"), pytest.raises(ConfigError, match="wait for it"):
        list(write_forms(classifier, _describe(classifier), data, ["pt2"], tmp_path))
    assert not list(tmp_path.glob("model*"))


@pytest.mark.parametrize("form", FORMS)
def test_a_form_answers_as_torch_does_for_any_number_of_images(
    form: str, written: dict[str, Written], classifier: Classifier, data: ImageData
) -> None:
    expected = classifier.probabilities(data.test.images)
    found = written[form].classifier
    assert found.description.numbers == ("int8" if form == "onnx_int8" else "float32")
    scores = all_scores(found, data.test, "")
    tolerance = 0.05 if form == "onnx_int8" else 1e-4
    torch.testing.assert_close(scores, expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(found.scores(data.test.images[:1]), scores[:1], atol=1e-5, rtol=0)
    assert written[form].checked == 256


def test_int8_is_a_quarter_and_its_weights_have_a_scale_a_channel(
    written: dict[str, Written],
) -> None:
    sizes = {form: each.path.stat().st_size for form, each in written.items()}
    assert sizes["onnx_int8"] < 0.35 * sizes["onnx"]
    arrays = onnx.load(written["onnx_int8"].path).graph.initializer
    weights = {each.name: each for each in arrays if each.data_type == onnx.TensorProto.INT8}
    kernels = [each for each in weights.values() if len(each.dims) == 4]
    assert len(kernels) == 4
    scales = [each for each in arrays if each.name.endswith("_scale") and len(each.dims) == 1]
    assert {each.dims[0] for each in kernels} <= {each.dims[0] for each in scales}


def test_anyone_can_read_what_a_file_says(written: dict[str, Written], data: ImageData) -> None:
    session = onnx_session(written["onnx"].path)
    [images], [output] = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape, images.type) == ("images", ["N", 3, 32, 32], "tensor(float)")
    assert (output.name, output.shape) == ("probabilities", ["N", 10])
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["classes"]) == list(data.classes)
    assert (said["image_size"], said["fit"], said["run_id"]) == ("32", "pad", "0123")
    assert said["input"] == "images: float32 [N, 3, 32, 32]"
    zeros = session.run(None, {"images": np.zeros((3, 3, 32, 32), np.float32)})[0]
    np.testing.assert_allclose(zeros.sum(axis=1), 1, atol=1e-5)


def test_logits_where_no_softmax_is_asked_for(
    classifier: Classifier, data: ImageData, tmp_path: Path
) -> None:
    description = _describe(classifier, output="logits")
    [form] = write_forms(classifier, description, data, ["pt2"], tmp_path)
    images = data.test.images[:20]
    scores = form.classifier.scores(images)
    assert scores.min() < 0
    torch.testing.assert_close(
        form.classifier.probabilities(images), classifier.probabilities(images), atol=1e-5, rtol=0
    )


def test_a_file_that_differs_is_not_left(
    classifier: Classifier, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No difference is small enough.
    monkeypatch.setattr(write, "TOLERANCE", -1.0)
    with pytest.raises(ConfigError, match=r"to=pt2: its outputs differ from torch's by up to"):
        list(write_forms(classifier, _describe(classifier), data, ["pt2"], tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(
    classifier: Classifier, data: ImageData, tmp_path: Path
) -> None:
    with files_up_to(100_000), pytest.raises(DiskError, match="cannot be written"):
        list(write_forms(classifier, _describe(classifier), data, ["pt2"], tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_torch_cannot_export_is_one_line() -> None:
    class Moody(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(ConfigError, match="to=pt2: torch cannot export this network") as refused:
        export_program(Moody(), 8, key="to", value="pt2")
    assert "\n" not in str(refused.value)


def test_what_exporters_log_changes_no_log_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with quiet():
        logging.info("as onnxruntime's quantisation does")
    assert logging.root.handlers == [] and not logging.root.manager.disable


def _tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _without_card(path: Path) -> None:
    path.with_name("model.onnx.json").unlink()


def _truncate(path: Path) -> None:
    _without_card(path)
    path.write_bytes(path.read_bytes()[:5000])


def _say(path: Path, **said: str) -> None:
    _without_card(path)
    model = onnx.load(path)
    former = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(model, former | said)
    onnx.save(model, path)


def _say_nothing(path: Path) -> None:
    _without_card(path)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "tampered": (_tamper, "is not the file that its card model.onnx.json describes"),
    "truncated": (_truncate, "is no ONNX file that can be read"),
    "classes": (lambda path: _say(path, classes='["a", "b"]'), "names 2 classes and answers with"),
    "size": (lambda path: _say(path, image_size="31"), "does not read images of 31 px"),
    "nonsense": (lambda path: _say(path, mean="?"), "does not say what it reads and answers"),
    "silent": (_say_nothing, "does not say what it reads and answers"),
    "card": (
        lambda path: path.with_name("model.onnx.json").write_text("{"),
        "its card .* cannot be read",
    ),
    "gone": (Path.unlink, "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_one_line(
    damage: str, written: dict[str, Written], tmp_path: Path
) -> None:
    for name in ("model.onnx", "model.onnx.json"):
        shutil.copy(written["onnx"].path.with_name(name), tmp_path / name)
    path = tmp_path / "model.onnx"
    assert load_exported(path, key="run").classes == written["onnx"].classifier.classes
    do, words = DAMAGES[damage]
    do(path)
    with pytest.raises(ConfigError, match=words) as refused:
        load_exported(path, key="run")
    assert str(refused.value).startswith(f"run={path}: ") and "\n" not in str(refused.value)


def test_files_that_may_run_code_are_not_read(written: dict[str, Written]) -> None:
    with pytest.raises(ConfigError, match="by pickle, which may run code of theirs"):
        load_exported(written["pt2"].path, key="run")


def test_a_missing_package_is_one_line_with_what_installs_it(
    written: dict[str, Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="onnxruntime is not installed: python -m pip install"):
        load_exported(written["onnx"].path, key="run")
