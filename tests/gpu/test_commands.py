"""Commands on a GPU, as a user types them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.conftest import TINY, Workplace, children, config_of
from tests.gpu.device import DEVICE
from transfer.config.schema import AugmentConfig
from transfer.job import prepare

_TWO_AT_ONCE = "hydra.launcher.n_jobs=2"
MODEL = ("model=resnet18", *TINY, f"device={DEVICE}")


def test_a_run_says_where_it_was_trained(new_workplace: Callable[[], Workplace]) -> None:
    place = new_workplace()
    done = place.run("train.py", *MODEL, from_scratch=True)
    assert done.returncode == 0, done.stderr
    [run] = place.runs()
    assert run.data.params["device"] == DEVICE
    assert run.data.metrics["profile/peak_memory_mb"] > 0
    assert run.data.metrics["profile/latency_ms"] > 0


def test_what_a_gpu_trained_is_read_by_a_cpu(new_workplace: Callable[[], Workplace]) -> None:
    """Its weights give a CPU the logits that the run kept."""
    place = new_workplace()
    done = place.run("train.py", *MODEL, "precision=float32", from_scratch=True)
    assert done.returncode == 0, done.stderr
    [run] = place.runs()
    with np.load(place.client.download_artifacts(run.info.run_id, "predictions.npz")) as saved:
        kept = torch.from_numpy(saved["logits"].astype(np.float32))
    weights = place.client.download_artifacts(run.info.run_id, "weights.safetensors")
    # Its head is read, too, since the classes are the same.
    job = prepare(config_of(*MODEL, "device=cpu", f"weights={weights}"))
    preprocess = job.normalization.preprocess(job.config.image_size, AugmentConfig())
    with torch.inference_mode():
        logits = job.model().eval()(preprocess(job.data.test.images))
    assert (logits - kept).abs().max() < 0.05


def test_jobs_share_a_gpu_or_are_dealt_to_several(
    new_workplace: Callable[[], Workplace],
) -> None:
    place = new_workplace()
    chosen, at_once = ("auto", "jobs_per_gpu=2") if DEVICE == "cuda" else (DEVICE, _TWO_AT_ONCE)
    launcher = ("hydra/launcher=joblib", at_once)
    done = place.run("train.py", "-m", *MODEL, f"device={chosen}", "seed=0,1,2,3", *launcher)
    assert done.returncode == 0, done.stderr
    runs = children(place).values()
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    gpus = max(torch.cuda.device_count(), 1)
    assert len({run.data.params["device"] for run in runs}) == min(gpus, 4)


@pytest.mark.skipif(DEVICE != "cuda", reason="a CPU has no such limit")
def test_what_does_not_fit_is_one_line(new_workplace: Callable[[], Workplace]) -> None:
    place = new_workplace()
    huge = ("image_size=1024", "batch_size=1000", "data.train_per_class=null", "freeze_epochs=0")
    done = place.run("train.py", *MODEL, *huge, from_scratch=True)
    assert done.returncode == 1
    told = done.stderr
    assert "Traceback" not in told
    assert "out of memory with batch_size=1000 and image_size=1024; try batch_size=500" in told
