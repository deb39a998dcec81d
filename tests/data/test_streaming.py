"""A set above `data.resident_gb` is decoded, split, hashed and handed out, and never in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

# Decoded, 400 images of 640 px take 492 MB.
COUNT, SIDE = 400, 640

_CODE = """
import re, sys, threading, time
from pathlib import Path
import torch
from tests.conftest import config_of
from transfer import data

def held_mb():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", status)[1]) * 1024 / 1e6

peak = 0.0
def watch():
    global peak
    while True:
        peak = max(peak, held_mb())
        time.sleep(0.005)

config = config_of("data=image_folder", f"data.root={sys.argv[1]}", "data.resident_gb=0.1").data
start = held_mb()
threading.Thread(target=watch, daemon=True).start()
for _ in range(2):
    # Decoded, and then from the cache.
    images = data.DataSets().load(config, 640)
    images.test_digest, images.train.digest
    for split in (images.train, images.val):
        batches = data.Batches(split, 4, torch.device("cpu"), resident=images.resident)
        assert sum(len(labels) for _, labels in batches.in_order()) == len(split)
        for _ in range(2):
            list(map(len, batches.shuffled(torch.Generator())))
assert images.train.stored.nbytes > 300e6
print(f"{peak - start:.0f}")
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory as Linux counts it")
def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "images" / "train" / name
        folder.mkdir(parents=True)
        small = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(small).resize((SIDE, SIDE)).save(folder / "0.bmp")
        for number in range(1, COUNT // 2):
            (folder / f"{number}.bmp").hardlink_to(folder / "0.bmp")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRANSFER_CACHE": str(tmp_path / "cache")}
    call = [sys.executable, "-c", _CODE, str(tmp_path / "images")]
    process = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    # Held are pieces of 16 MB to be hashed, and a few batches of 5 MB.
    assert float(process.stdout) < 200
