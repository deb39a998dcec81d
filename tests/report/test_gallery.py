"""Which test pictures a report shows, in which words, and that no name in it does harm."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.compare.runs import make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.report.document import Gallery, to_html, to_markdown
from transfer.report.gallery import build_galleries
from transfer.report.language import LANGUAGES, Words
from transfer.tracking.artifacts import Predictions
from transfer.tracking.examples import Example, read_examples, write_examples
from transfer.tracking.run_record import RunRecord

NAMES = ["cat", "<script>alert(1)</script>", "$x_1$ | *dog*"]
RUNS = [make_run("a", 0, 0, 0.9), make_run("a", 0, 1, 0.9), make_run("b", 0, 0, 0.8)]
# By validation, its second run is the better one.
RUNS[1] = replace(RUNS[1], metrics=RUNS[1].metrics | {"best/val_acc": 0.95})
LABELS = np.array([0, 0, 1, 1, 2, 2])


def _answers(predicted: list[int], confidence: list[float], names: list[str]) -> Predictions:
    return Predictions(
        LABELS.astype(np.int16),
        np.array(predicted, np.int16),
        np.array(confidence, np.float32),
        names,
    )


def _comparison(names: list[str], second: dict[str, str] | None = None) -> Comparison:
    sure = [0.9, 0.5, 0.99, 0.6, 0.7, 0.8]
    found = {
        "a-0-0": _answers([1, 1, 1, 1, 1, 1], sure, names),
        "a-0-1": _answers([0, 1, 0, 1, 2, 2], sure, names),
        "b-0-0": _answers([1, 1, 1, 0, 0, 2], sure, names),
    }
    other = replace(RUNS[2], params=RUNS[2].params | (second or {}))
    return Comparison(make_rows([*RUNS[:2], other], predictions=found))


def _examples(folder: Path, kept: list[int], file: str) -> dict[int, Example]:
    images = [
        (index, np.full((3, 8, 8), 40 * index, np.uint8), file and f"{index}{file}")
        for index in kept
    ]
    write_examples(folder / "examples.npz", images)
    return read_examples(folder / "examples.npz")


def _galleries(
    folder: Path, kept: dict[str, list[int]], language: str = "en", file: str = "", **more: Any
) -> list[Gallery]:
    def read(run: RunRecord) -> dict[int, Example] | None:
        return _examples(folder, kept[run.id], file) if run.id in kept else None

    (folder / "figures").mkdir(exist_ok=True)
    comparison = _comparison(more.get("names", NAMES), more.get("second"))
    return build_galleries(comparison, read, Words(language), folder, "part-1-")


def test_the_surest_mistakes_of_the_network_that_validation_prefers(tmp_path: Path) -> None:
    [mistakes, differences] = _galleries(
        tmp_path, {"a-0-1": [2, 1], "b-0-0": [0, 3, 4]}, names=["cat", "cow", "dog"]
    )
    shown = [(tile.title, *tile.lines) for tile in mistakes.tiles]
    assert shown == [("cow", "cat, 99 % ✗"), ("cat", "cow, 50 % ✗")]
    assert "Of the 2 test images that `a seed=1` gets wrong, the 2" in mistakes.text
    # Image 1 is answered alike, and of the others both are equally sure here.
    shown = [(tile.title, *tile.lines) for tile in differences.tiles]
    assert shown == [
        ("cow", "A: cat, 99 % ✗", "B: cow, 99 % ✓"),
        ("cat", "A: cat, 90 % ✓", "B: cow, 90 % ✗"),
        ("dog", "A: dog, 70 % ✓", "B: cat, 70 % ✗"),
        ("cow", "A: cow, 60 % ✓", "B: cat, 60 % ✗"),
    ]
    assert "**A** is `a seed=1`, **B** is `b`. Of the 4 test images" in differences.text
    assert (mistakes.path, mistakes.files) == ("figures/part-1-mistakes.png", None)
    for gallery in (mistakes, differences):
        with Image.open(tmp_path / gallery.path) as sheet:
            assert sheet.format == "PNG" and sheet.width > 900


def test_without_pictures_there_is_no_gallery(tmp_path: Path) -> None:
    assert _galleries(tmp_path, {}) == []
    # The answer to it is the same and right.
    assert _galleries(tmp_path, {"a-0-1": [5], "b-0-0": []}) == []
    assert list((tmp_path / "figures").iterdir()) == []


def test_answers_to_other_images_are_not_set_beside_one_another(tmp_path: Path) -> None:
    kept = {"a-0-1": [2], "b-0-0": [2]}
    galleries = _galleries(tmp_path, kept, second={"data.test_digest": "of others"})
    assert [gallery.title for gallery in galleries] == ["The surest mistakes"]


def test_networks_of_folds_are_compared_on_the_fold_of_the_first_ones(tmp_path: Path) -> None:
    runs, found = [], {}
    for model, scores in {"a": (0.7, 0.9), "b": (0.8, 0.6)}.items():
        for fold, score in enumerate(scores):
            images = {
                "data.fold": f"{fold}",
                "data.test_digest": f"{fold}",
                "data.folds": "2",
            }
            run = make_run(model, 0, 0, score, **images)
            runs.append(replace(run, tags={"transfer.configuration": model}))
            answers = [0, 1, 1, 1, 2, 2] if model == "a" else [0, 0, 1, 1, 2, 2]
            found[run.id] = _answers(answers, [0.9] * 6, ["cat", "cow", "dog"])
    comparison = Comparison(make_rows(runs, predictions=found))
    kept = _examples(tmp_path, [1], "")
    (tmp_path / "figures").mkdir()
    [_, differences] = build_galleries(comparison, lambda run: kept, Words(), tmp_path)
    assert "**A** is `a data.fold=1`, **B** is `b data.fold=1`. Of the 1" in differences.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_classes_and_files_stay_text(tmp_path: Path, language: str) -> None:
    file = '"><img src=x onerror=alert(1)>_*.jpg'
    galleries = _galleries(tmp_path, {"a-0-1": [2, 1], "b-0-0": [4]}, language, file)
    page = to_html(galleries, tmp_path, language)
    assert (
        page.count("<img ") == 4 == len(re.findall(r'src="data:image/jpeg;base64,[\w+/=]+"', page))
    )
    assert "<script>alert" not in page
    assert "<strong>&lt;script&gt;alert(1)&lt;/script&gt;</strong>" in page
    assert "onerror=alert(1)&gt;_*.jpg</small>" in page
    text = to_markdown(galleries)
    assert "](figures/part-1-mistakes.png)" in text
    assert r'| 2">\<img src=x onerror=alert(1)>\_\*.jpg |' in text
    assert "<img" not in text.replace(r"\<img", "")
