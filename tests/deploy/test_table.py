"""Answers in a file, as other programs read it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import files_up_to
from transfer.deploy.classify import Answer, Prediction
from transfer.deploy.table import open_table

_NAMES = [
    *("a,b.jpg", 'quo"te.jpg', "two\nlines.jpg", "=HYPERLINK(1).jpg", "+1", "@x", " blank .jpg"),
    *("[1]{2}.jpg", "图片/é.jpg", "😀.jpg", "plain.jpg"),
]
_NOT_UTF8 = b"\xff.jpg".decode(errors="surrogateescape")


def _answer(name: str) -> Answer:
    return Answer(Path(name), (Prediction("=cat", 0.98765432), Prediction('d"o,g', 1.5e-9)))


def test_csv_reads_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "answers.CSV"
    with open_table(path, 2, labelled=True) as write:
        for name in _NAMES:
            write(_answer(name), "=cat")
    head = '"file","true class","class","probability","class 2","probability 2"'
    row = '"a,b.jpg","=cat","=cat",0.987654,"d""o,g",1.5e-09'
    assert path.read_text().startswith(f"{head}\n{row}\n")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [each["file"] for each in rows] == _NAMES
    frame = pd.read_csv(path)
    assert list(frame["file"]) == _NAMES
    assert frame["probability"].dtype == float and set(frame["class 2"]) == {'d"o,g'}


def test_json_reads_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    with open_table(path, 2, labelled=False) as write:
        for name in _NAMES:
            write(_answer(name), None)
    rows = json.loads(path.read_text())
    assert [each["file"] for each in rows] == _NAMES
    assert rows[0] == {
        "file": "a,b.jpg",
        "class": "=cat",
        "probability": 0.987654,
        "runners_up": [{"class": 'd"o,g', "probability": 1.5e-9}],
    }
    assert list(pd.read_json(path)["file"]) == _NAMES


@pytest.mark.parametrize("name", ["answers.csv", "answers.json"])
def test_whatever_ends_it_keeps_what_was_done(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    def interrupted(rows: int) -> None:
        with open_table(path, 2, labelled=False) as write:
            for number in range(rows):
                write(_answer(f"{number}.jpg"), None)
                # On the disk at once: a kill takes nothing back.
                assert f"{number}.jpg" in path.read_text()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(0)
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt):
        interrupted(3)
    read = pd.read_csv if path.suffix == ".csv" else pd.read_json
    assert list(read(path)["file"]) == ["0.jpg", "1.jpg", "2.jpg"]
    with pytest.raises(FileExistsError):
        interrupted(1)


@pytest.mark.parametrize("name", ["answers.csv", "answers.json"])
def test_a_name_that_is_no_utf8_leaves_a_file_that_is(tmp_path: Path, name: str) -> None:
    with open_table(tmp_path / name, 2, labelled=False) as write:
        write(_answer(_NOT_UTF8), None)
    read = pd.read_csv if name.endswith(".csv") else pd.read_json
    assert list(read(tmp_path / name)["file"]) == ["\\udcff.jpg"]


@pytest.mark.parametrize("name", ["answers.csv", "answers.json"])
def test_a_full_disk_leaves_whole_rows(tmp_path: Path, name: str) -> None:
    path, written = tmp_path / name, 0
    with (
        pytest.raises(OSError, match="File too large"),
        files_up_to(1000),
        open_table(path, 2, labelled=False) as write,
    ):
        for number in range(100):
            write(_answer(f"{number}.jpg"), None)
            written += 1
    read = pd.read_csv if name.endswith(".csv") else pd.read_json
    assert list(read(path)["file"]) == [f"{number}.jpg" for number in range(written)]
    assert written > 3


def test_a_disk_that_was_full_before_leaves_no_table(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    with (
        pytest.raises(OSError, match="File too large"),
        files_up_to(10),
        open_table(path, 2, labelled=False),
    ):
        pass
    assert not path.exists()
