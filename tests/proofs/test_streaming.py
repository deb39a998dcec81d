"""Images that take more than the memory: the real command decodes and trains a set of 2.1 GB
in a process that may set aside 1.9 GB, holds no more in one epoch than in another, and needs room
for one copy on the disk."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Self

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
        "augment=none",
    ]
    start = time.monotonic()
    streamed = Training(
        workplace.folder, workplace.store, *command, "data.resident_gb=0.5", wrapper=_LIMITED
    )
    with Watch(streamed.id, tmp_path / "cache") as watch:
        assert streamed.wait() == 0, streamed.output
    ends = [start, *streamed.epoch_ends]
    assert len(ends) == 1 + EPOCHS
    for number, (begin, end) in enumerate(pairwise(ends), 1):
        peak = watch.peak_mb(begin, end)
        print(f"epoch {number}: {end - begin:.0f} s to its end, at most {peak:.0f} MB held")
    # The first one ends the decoding and begins the training.
    assert watch.peak_mb(*ends[-2:]) < 1.1 * watch.peak_mb(*ends[:2])
    # The file that was decoded into is the one that stays.
    [kept] = tmp_path.glob("cache/decoded/*/images")
    assert kept.stat().st_size == COUNT * 3 * SIDE**2
    on_disk = max(used for _, _, used in watch.seen)
    print(f"at most {on_disk:.0f} MB in the cache")
    assert on_disk < 1.05 * COUNT * 3 * SIDE**2 / 1e6
    resident = Training(
        workplace.folder, workplace.store, *command, "data.resident_gb=4", wrapper=_LIMITED
    )
    assert resident.wait() == 1
    print(resident.output.strip().splitlines()[-1])
    assert "out of memory" in resident.output and "data.resident_gb=0" in resident.output


class Watch:
    """How much private memory a process holds, and room on the disk: what it has open in `folder`,
    named or not, and what else is there. Looked at ten times a second.

    Attributes:
        seen: moments, with the memory and the room in MB.
    """

    def __init__(self, process: int, folder: Path) -> None:
        self._process = Path(f"/proc/{process}")
        self._folder = folder
        self.seen: list[tuple[float, float, float]] = []
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak_mb(self, begin: float, end: float) -> float:
        return max(held for moment, held, _ in self.seen if begin <= moment <= end)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                held = re.search(r"RssAnon:\s+(\d+) kB", (self._process / "status").read_text())
            except OSError:
                return
            if held:
                mb = int(held[1]) * 1024 / 1e6
                self.seen.append((time.monotonic(), mb, self._room_mb()))

    def _room_mb(self) -> float:
        sizes = {}
        open_files = (self._process / "fd").glob("*")
        for path in (*self._folder.rglob("*"), *open_files):
            with suppress(OSError):
                if str(self._folder) in str(path.resolve()):
                    status = path.stat()
                    sizes[status.st_ino] = status.st_blocks * 512
        return sum(sizes.values()) / 1e6
