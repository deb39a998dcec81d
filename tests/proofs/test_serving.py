"""A registered network answers pictures over HTTP, served by MLflow alone, and the champion is the
better of two."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

from tests.conftest import Workplace, config_of
from transfer.data import DataSets
from transfer.deploy.exported import open_own
from transfer.tracking.forms import forms_of

PICTURES = 10


def test_the_champion_answers_ten_pictures(new_workplace: Callable[[], Workplace]) -> None:
    place = new_workplace()
    _train_and_register(place, epochs=1)
    first = place.client.get_model_version_by_alias("digits", "champion")
    _train_and_register(place, epochs=12)
    champion = place.client.get_model_version_by_alias("digits", "champion")
    assert (int(first.version), int(champion.version)) == (1, 2)

    timed = forms_of(place.client.get_run(champion.run_id).data.metrics)
    assert list(timed) == ["torch", "onnx"]
    assert all(form.latency_64_ms > 0 and form.other_jobs == 0 for form in timed.values())

    pictures = _pictures(place.folder)
    images = np.stack([_as_the_card_says(each) for each in pictures])
    with _served(place) as address:
        body = json.dumps({"inputs": {"images": images.tolist()}}).encode()
        request = Request(address, body, {"Content-Type": "application/json"})
        answer = json.loads(urlopen(request, timeout=60).read())["predictions"]
    [file] = place.folder.glob(f"exports/*-{champion.run_id[:8]}/model.onnx")
    own = open_own(file)
    data = DataSets().load(config_of("data=digits").data, 32)
    expected = own.probabilities(data.test.images[:PICTURES])
    np.testing.assert_allclose(answer["probabilities"], expected, atol=0.02)
    classes = [own.classes[index] for index in expected.argmax(dim=1).tolist()]
    assert answer["class"] == classes
    right = sum(
        each == data.classes[label]
        for each, label in zip(classes, data.test.labels[:PICTURES].tolist(), strict=True)
    )
    print(f"{right} of {PICTURES} pictures are answered right")
    assert right >= PICTURES - 1


def _train_and_register(place: Workplace, epochs: int) -> None:
    training = ("model=simple_cnn", "weights=none", "freeze_epochs=0", "device=cpu")
    command = ("train.py", *training, f"epochs={epochs}", "precision=float32")
    assert place.run(*command).returncode == 0
    process = place.run("experiments/export.py", "run=latest", "register=digits", "threads=1")
    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith("now champion\n")


def _pictures(folder: Path) -> list[Path]:
    images = DataSets().load(config_of("data=digits").data, 32).test.images[:PICTURES]
    paths = [folder / f"{number}.png" for number in range(PICTURES)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return paths


def _as_the_card_says(path: Path) -> np.ndarray:
    """What whoever asks the server has to do with a picture, by Pillow alone."""
    square = Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(square, np.float32).transpose(2, 0, 1) / 255


@contextmanager
def _served(place: Workplace) -> Iterator[str]:
    """The address of `mlflow models serve`, which knows nothing of this project."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/digits@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": place.store}
    # A module of this name would be found first, and says that nothing of the project is used.
    (place.folder / "blocked").mkdir()
    (place.folder / "blocked" / "transfer.py").write_text("raise ImportError('not here')\n")
    environment["PYTHONPATH"] = str(place.folder / "blocked")
    # MLflow looks for it on the path, as in an environment that is activated.
    uvicorn = place.folder / "blocked" / "uvicorn"
    uvicorn.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m uvicorn "$@"\n')
    uvicorn.chmod(0o755)
    environment["PATH"] = f"{uvicorn.parent}{os.pathsep}{environment['PATH']}"
    server = subprocess.Popen(command, cwd=place.folder, env=environment, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            if urlopen(address, timeout=5).status == 200:
                return
        except (URLError, OSError):
            if time.monotonic() > end:
                raise
        time.sleep(0.5)
