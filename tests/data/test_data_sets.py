"""Data sets at hand: read and split once, in one process and without a trace in another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT, config_of
from transfer.data import DataSets, process_data_sets


def test_what_was_read_and_split_last_is_at_hand() -> None:
    digits, other = config_of("data=digits").data, config_of("data=digits", "data.seed=1").data
    sets = DataSets()
    first = sets.load(digits, 32)
    assert sets.load(digits, 32) is first
    second = sets.load(other, 32)
    assert second is not first and second.train.stored is first.train.stored
    mapped = sets.load(config_of("data=digits", "data.resident_gb=0").data, 32)
    assert not mapped.resident and mapped.train.stored is not second.train.stored
    # Each object has its own; a process has one.
    assert DataSets().load(digits, 32).train.stored is not first.train.stored
    assert process_data_sets() is process_data_sets()


def test_splits_are_held_once() -> None:
    data = DataSets().load(config_of("data=digits").data, 32)
    assert data.train.stored is data.val.stored is data.test.stored


def test_importing_changes_nothing_global(tmp_path: Path) -> None:
    """Remarks of Pillow are silenced when the first picture is decoded, and not before."""
    code = """
import logging, sys, warnings
import hydra.core.config_store, numpy, safetensors.torch, torch, tqdm, PIL.Image
before = list(warnings.filters)
import transfer.data, transfer.data.decode
assert warnings.filters == before
assert logging.getLogger("PIL").level == logging.NOTSET
transfer.data.decode.decode_or_refuse(__import__("pathlib").Path(sys.argv[1]), key="image")
assert logging.getLogger("PIL").level == logging.CRITICAL
"""
    picture = tmp_path / "picture.png"
    Image.new("RGB", (4, 4)).save(picture)
    call = [sys.executable, "-c", code, str(picture)]
    process = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
