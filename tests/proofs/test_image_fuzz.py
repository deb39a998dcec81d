"""Damaged image files: each is read or refused in one line, within 10 s, and no run is left behind.

The files are pictures of CIFAR-10 in twenty kinds of seven formats, damaged in five ways. A process
of its own loads them, so that a crash, a hang and words from a C library are all seen.
"""

from __future__ import annotations

import io
import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PLAIN, ROOT, Workplace, write_images
from tests.data.damage import damaged, image_files
from tests.proofs.image_loader import load_each
from transfer.data.decode import decode_or_refuse
from transfer.system.errors import ConfigError

# pytest takes back the filters that the decoder sets for warnings.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning"
)

CIFAR = ROOT / "data" / "cifar10-jpeg" / "train"
COUNT, LIMIT_S, LIMIT_MB = 2000, 10, 2000
COMMANDS = 12


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    if not CIFAR.is_dir():
        pytest.fail(f"this proof needs CIFAR-10 as pictures: {CIFAR}/<class>/*.jpg")
    pictures = [sorted((CIFAR / name).iterdir())[0] for name in ("airplane", "cat", "truck")]
    return damaged(image_files([Image.open(path).convert("RGB") for path in pictures]), COUNT, 0)


def test_every_damaged_file_is_read_or_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    write_images(tmp_path / "train", {"cat": 3, "dog": 3}, size=(32, 32))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    loader = context.Process(target=load_each, args=(tmp_path, list(files), sender), daemon=True)
    loader.start()
    sender.close()
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest = peak_mb = 0.0
    # To start takes Python longer than to read a file.
    patience = 120
    for name in files:
        if not receiver.poll(patience):
            loader.kill()
            pytest.fail(f"{name}: no answer in {patience} s")
        patience = LIMIT_S
        try:
            failure, skipped, images, seconds, peak_mb = receiver.recv()
        except EOFError:
            loader.join()
            pytest.fail(f"{name}: ended the process, exit code {loader.exitcode}")
        suffix = name.rpartition(".")[2]
        slowest = max(slowest, seconds)
        assert seconds < LIMIT_S, name
        if failure is None:
            assert (skipped, images) == ((), 7), name
            outcomes[suffix, "read"] += 1
        else:
            assert f"train/cat/{name}: cannot be read" in failure
            assert len(failure.splitlines()) == 1
            assert len(skipped) == 1 and skipped[0].startswith(f"train/cat/{name}: cannot be read")
            assert images == 6, name
            outcomes[suffix, "refused"] += 1
    loader.join(LIMIT_S)
    assert loader.exitcode == 0
    assert (tmp_path / "stderr").read_text() == ""
    assert peak_mb < LIMIT_MB
    print("\n| format | files | read | refused |\n|---|---|---|---|")
    for suffix in sorted({suffix for suffix, _ in outcomes}):
        read, refused = outcomes[suffix, "read"], outcomes[suffix, "refused"]
        assert read and refused
        print(f"| {suffix} | {read + refused} | {read} | {refused} |")
    print(f"slowest: {slowest:.2f} s for both settings; peak memory {peak_mb:.0f} MB")


def test_the_command_refuses_in_one_line_and_leaves_no_run(
    workplace: Workplace, files: dict[str, bytes]
) -> None:
    # As large as one that Pillow itself would only warn of: 11 kB, 89.5 million pixels.
    bomb = io.BytesIO()
    Image.new("1", (9460, 9460)).save(bomb, "PNG")
    contents = {**files, "bomb.png": bomb.getvalue()}
    # Spread over the formats and ways of damage.
    refused = [name for name in files if not _is_read(workplace.folder / name, files[name])]
    chosen = [*refused[:: len(refused) // COMMANDS][:COMMANDS], "bomb.png"]
    for number, name in enumerate(chosen):
        train = workplace.folder / Path(name).stem / "train"
        write_images(train, {"cat": 9, "dog": 9})
        (train / "cat" / name).write_bytes(contents[name])
        # Every third is a sweep, which reads its images in another place.
        swept = ["-m", "seed=0,1"] if number % 3 == 0 else []
        process = workplace.run(
            "train.py", *swept, *PLAIN, "data=image_folder", f"data.root={Path(name).stem}"
        )
        assert process.returncode == 2, process.stderr
        [line] = process.stderr.splitlines()
        assert f"{name}: cannot be read (" in line
        print(line)
    assert workplace.runs() == []
    print(f"{len(chosen)} commands, exit code 2 each, no run in the store")


def _is_read(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        decode_or_refuse(path, key="image")
    except ConfigError:
        return False
    finally:
        path.unlink()
    return True
