"""Loads damaged images in a process of its own; a module, so that the process can find it."""

from __future__ import annotations

import logging
import os
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.conftest import config_of
from transfer.config.schema import DataConfig
from transfer.data.image_folder import read_image_folder
from transfer.system.errors import ConfigError


def _config(root: Path, choice: str) -> DataConfig:
    folder = ("data=image_folder", f"data.root={root}")
    return config_of(*folder, f"data.on_bad_image={choice}").data


def load_each(root: Path, names: list[str], results: Connection) -> None:
    """Send what becomes of each file of `root` within a folder of six images, in this order: the
    error with `fail` (None: read), the skipped with `skip`, the images left, seconds, peak MB."""
    os.dup2(os.open(root / "stderr", os.O_WRONLY | os.O_CREAT), 2)
    # Our own line about each skipped file is expected; there must be no other.
    logging.getLogger("transfer").setLevel(logging.ERROR)
    configs = {choice: _config(root, choice) for choice in ("fail", "skip")}
    # A file for images that are too many for the memory.
    unused = root / "images"
    train = root / "train" / "cat"
    for name in names:
        (root / name).rename(train / name)
        started = time.perf_counter()
        try:
            failure = (
                None if len(read_image_folder(configs["fail"], 32, unused).train) == 7 else "lost"
            )
        except ConfigError as error:
            failure = str(error)
        source = read_image_folder(configs["skip"], 32, unused)
        seconds = time.perf_counter() - started
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.send((failure, source.skipped, len(source.train), seconds, peak_mb))
        (train / name).unlink()
