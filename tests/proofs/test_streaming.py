"""Images that take more than the memory: the real command decodes and trains a set of 2.1 GB
in a process that may set aside 1.9 GB, and holds no more in one epoch than in another."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Workplace
from tests.proofs.training import Training

# 224 x 224 pixels of three bytes: 2.1 GB.
COUNT, SIDE = 14_000, 224
EPOCHS = 2
LIMIT_MB = 1900
# Of private memory: RLIMIT_DATA counts what is set aside, touched or not.
_LIMITED = ("sh", "-c", f'ulimit -d {LIMIT_MB * 10**6 // 1024}; exec "$@"', "sh")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Photographs of a few scenes under many names: each name is decoded and kept by itself."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "images" / "train" / name
        folder.mkdir(parents=True)
        for number in range(COUNT // 2):
            path = folder / f"{number:05}.jpg"
            if number < 50:
                small = random.integers(0, 256, (12, 15, 3), dtype=np.uint8)
                Image.fromarray(small).resize((300, 240)).save(path)
            else:
                path.hardlink_to(folder / f"{number % 50:05}.jpg")
    return tmp_path / "images"


def test_more_images_than_memory(
    images: Path, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    command = [
        *("data=image_folder", f"data.root={images}", f"image_size={SIDE}", "device=cpu"),
        *("model=mobilenet_v3_small", f"epochs={EPOCHS}", f"freeze_epochs={EPOCHS}"),
        *("data.validation_fraction=0.01", "data.test_fraction=0.01", "precision=float32"),
        *("data.augment.brightness=0", "data.augment.contrast=0", "data.augment.saturation=0"),
        *("data.augment.hue=0", "data.augment.rotation=0", "data.augment.crop_padding=0"),
    ]
    start = time.monotonic()
    streamed = Training(
        workplace.folder, workplace.store, *command, "data.resident_gb=0.5", wrapper=_LIMITED
    )
    with Watch(streamed.id) as watch:
        assert streamed.wait() == 0, streamed.output
    ends = [start, *streamed.epoch_ends]
    assert len(ends) == 1 + EPOCHS
    for number, (begin, end) in enumerate(pairwise(ends), 1):
        peak = watch.peak_mb(begin, end)
        print(f"epoch {number}: {end - begin:.0f} s to its end, at most {peak:.0f} MB held")
    # The first one ends the decoding and begins the training.
    assert watch.peak_mb(*ends[-2:]) < 1.1 * watch.peak_mb(*ends[:2])
    resident = Training(
        workplace.folder, workplace.store, *command, "data.resident_gb=4", wrapper=_LIMITED
    )
    assert resident.wait() == 1
    print(resident.output.strip().splitlines()[-1])
    assert "out of memory" in resident.output and "data.resident_gb=0" in resident.output


class Watch:
    """How much private memory a process holds, looked at ten times a second."""

    def __init__(self, process: int) -> None:
        self._status = Path(f"/proc/{process}/status")
        self._seen: list[tuple[float, float]] = []
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak_mb(self, begin: float, end: float) -> float:
        return max(held for moment, held in self._seen if begin <= moment <= end)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                held = re.search(r"RssAnon:\s+(\d+) kB", self._status.read_text())
            except OSError:
                return
            if held:
                self._seen.append((time.monotonic(), int(held[1]) * 1024 / 1e6))
