"""Data sets known by name: from files that are there, and without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import config_of
from transfer.data import DataSets, sources
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

CLASSES = ["airplane", "automobile"]
NOWHERE = "http://127.0.0.1:9/nothing"


def test_digits_are_split_and_grey() -> None:
    data = DataSets().load(config_of("data=digits").data, stored_size=32)
    assert (len(data.train), len(data.val), len(data.test)) == (1295, 143, 359)
    assert data.train.images.shape[1:] == (3, 8, 8)
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])
    assert data.train.images.max() == 255
    assert data.classes == tuple("0123456789")


def test_train_per_class_leaves_the_other_splits_alone() -> None:
    few = DataSets().load(config_of("data=digits", "data.train_per_class=10").data, stored_size=32)
    everything = DataSets().load(config_of("data=digits").data, stored_size=32)
    assert few.train.labels.bincount().tolist() == [10] * 10
    assert torch.equal(few.val.images, everything.val.images)
    assert torch.equal(few.test.images, everything.test.images)
    assert few.digest == everything.digest


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An archive of CIFAR-10's form with 20 + 4 images, made known to torchvision by its MD5s."""
    random = np.random.default_rng(0)

    def batch(count: int) -> bytes:
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        return pickle.dumps({"data": pixels, "labels": [index % 2 for index in range(count)]})

    members = {
        "data_batch_1": batch(20),
        "test_batch": batch(4),
        "batches.meta": pickle.dumps({"label_names": CLASSES}),
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in members.items()}
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", md5["data_batch_1"]]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5["batches.meta"]})
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5(archive.getvalue()).hexdigest())
    monkeypatch.setattr(kind, "url", NOWHERE)
    return archive.getvalue()


def _cifar10(root: Path):
    return config_of("data=cifar10", f"data.root={root}").data


def test_a_local_cifar_archive_is_extracted_and_used(tmp_path: Path, small_cifar: bytes) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(small_cifar)
    data = DataSets().load(_cifar10(tmp_path), stored_size=32)
    assert data.classes == tuple(CLASSES)
    assert data.train.images.shape[1:] == (3, 32, 32)
    assert (len(data.train), len(data.val), len(data.test)) == (18, 2, 4)
    assert all(0.4 < mean < 0.6 for mean in data.channel_statistics[0])


def test_a_damaged_cifar_archive_is_refused(tmp_path: Path, small_cifar: bytes) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(small_cifar[:-100])
    with pytest.raises(ConfigError, match=r"cifar-10-python\.tar\.gz there is damaged"):
        DataSets().load(_cifar10(tmp_path), stored_size=32)
    assert archive.read_bytes() == small_cifar[:-100]


def test_cifar_without_network_says_how_to_go_on(tmp_path: Path, small_cifar: bytes) -> None:
    with pytest.raises(ConfigError, match=r"needs a download.*data=digits, which needs no network"):
        DataSets().load(_cifar10(tmp_path), stored_size=32)


def _idx(values: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, values.ndim])
        + np.array(values.shape, dtype=">u4").tobytes()
        + values.tobytes()
    )


def _write_fashion_mnist(folder: Path, *, packed: bool) -> np.ndarray:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 20)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for stem, values in ((f"{part}-images-idx3", images), (f"{part}-labels-idx1", labels)):
            content = _idx(values)
            name = f"{stem}-ubyte.gz" if packed else f"{stem}-ubyte"
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return images


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_mnist_from_a_local_folder(tmp_path: Path, packed: bool) -> None:
    test_images = _write_fashion_mnist(tmp_path / "FashionMNIST" / "raw", packed=packed)
    config = config_of("data=fashion_mnist", f"data.root={tmp_path}").data
    data = DataSets().load(config, stored_size=32)
    assert (len(data.train), len(data.val), len(data.test)) == (90, 10, 20)
    assert np.array_equal(data.test.images[:, 1].numpy(), test_images)
    assert data.classes[0] == "T-shirt/top"


def test_fashion_mnist_from_debians_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_fashion_mnist(tmp_path / "debian", packed=True)
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "debian")
    config = config_of("data=fashion_mnist", f"data.root={tmp_path / 'empty'}").data
    assert len(DataSets().load(config, stored_size=32).train) == 90


def test_a_damaged_idx_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    _write_fashion_mnist(folder, packed=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")
    config = config_of("data=fashion_mnist", f"data.root={tmp_path}").data
    with pytest.raises(ConfigError, match=r"t10k-images-idx3-ubyte\.gz is damaged"):
        DataSets().load(config, stored_size=32)
