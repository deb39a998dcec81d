"""What a report says of a search: in both languages, whatever there is to tell."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from transfer.report.document import Paragraph, Picture, Table, to_html, to_markdown
from transfer.report.language import LANGUAGES, Words
from transfer.report.search import search_blocks
from transfer.tracking.searches import SearchRecord, TrialRecord, read_search

_TRIALS = [
    TrialRecord(0, "finished", ["optimizer.lr=0.1", "model=b|c"], 0.5, None, None),
    TrialRecord(1, "failed", ["optimizer.lr=9"], None, None, None),
    TrialRecord(2, "finished", ["optimizer.lr=0.01"], 0.9, None, None),
    TrialRecord(3, "pruned", ["optimizer.lr=1"], 0.2, 4, None),
    TrialRecord(4, "finished", ["optimizer.lr=0.01"], 0.9, None, 2),
    TrialRecord(5, "running", [], None, None, None),
]
RECORD = SearchRecord("acc", "tpe", "median", 8, _TRIALS, {"model.name": 0.25, "a_b": 0.75})


# A machine may have no font with Chinese characters; that is told elsewhere.
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_best_so_far_and_what_mattered_are_told(language: str, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    words = Words(language)
    blocks = search_blocks(RECORD, tmp_path, words, "part-1-")
    text = to_markdown(blocks)
    assert "optimizer.lr=0.01" in text and "| a_b" in text and " 75 |" in text
    [picture] = [each for each in blocks if isinstance(each, Picture)]
    assert (tmp_path / picture.path).is_file() and picture.path == "figures/part-1-search.png"
    finished = picture.marks[1]
    assert [values[:2] for values in finished["values"]] == [
        ["0", "50.00"],
        ["2", "90.00"],
        ["4", "90.00"],
    ]
    assert "<table" in to_html(blocks, tmp_path, language)
    if language == "en":
        assert "6 trials, chosen by `tpe`: 3 trained to the end, 1 pruned by `median`, 1" in text
        assert "trial 2, `optimizer.lr=0.01`; of the 3 trials after it none was better" in text
    # Nothing is said of no trials.
    alone = search_blocks(replace(RECORD, trials=_TRIALS[:1]), tmp_path, words)
    chosen = " ".join(_TRIALS[0].chosen)
    assert words("search.best_last", number=0, chosen=chosen).strip() in to_markdown(alone)
    # One that repeats another is no other.
    assert words("search.equals", count=1) not in text
    alike = [replace(each, repeats=None) for each in _TRIALS]
    blocks = search_blocks(replace(RECORD, trials=alike), tmp_path, words)
    assert words("search.equals", count=1).strip() in to_markdown(blocks)


def test_a_search_without_a_score_has_no_figure(tmp_path: Path) -> None:
    nothing = replace(RECORD, trials=_TRIALS[1:2], importances={})
    blocks = search_blocks(nothing, tmp_path, Words())
    assert not [each for each in blocks if isinstance(each, Picture | Table)]
    assert isinstance(blocks[-1], Paragraph) and "0 trained to the end" in blocks[-1].text


def test_a_loss_is_shown_as_a_loss(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    trials = [replace(each, score=each.score and each.score - 1) for each in _TRIALS]
    blocks = search_blocks(replace(RECORD, select_by="loss", trials=trials), tmp_path, Words())
    [picture] = [each for each in blocks if isinstance(each, Picture)]
    assert picture.marks[0]["values"][0][1] == "0.800", "what was pruned"


def test_what_was_logged_is_read_again_and_what_is_damaged_is_not(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(json.dumps(asdict(RECORD)))
    assert read_search(path) == RECORD
    for damaged in ({"trials": 3}, {"select_by": "luck"}, {"trials": [{"number": "x"}]}):
        path.write_text(json.dumps(asdict(RECORD) | damaged))
        with pytest.raises((ValueError, TypeError, KeyError)):
            read_search(path)
