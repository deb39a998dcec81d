"""Out of memory, for real: a process that may not have more than it has."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import PLAIN, TINY, Workplace, config_of
from transfer.job import memory_explained
from transfer.system.memory import OutOfMemoryError

# Of address space: enough for the libraries and the digits.
LIMIT_KB = 8 * 2**20


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    ],
)
def test_every_allocators_words_are_known(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemoryError, match="batch_size=64 and image_size=32; try batch_size=32"),
        memory_explained(config_of()),
    ):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="no luck"), memory_explained(config_of()):
        raise RuntimeError("no luck")


def test_a_job_that_does_not_fit_is_named_and_the_sweep_goes_on(workplace: Workplace) -> None:
    # The first job's batch wants 6.7 GB for its first convolution alone.
    small = (*TINY, "epochs=1", "freeze_epochs=0", "batch_size=50")
    process = workplace.run(
        "train.py", "-m", *PLAIN, *small, "image_size=1024,32", limit_kb=LIMIT_KB
    )
    assert process.returncode == 1, process.stderr
    assert "1 of 2 jobs failed" in process.stderr
    words = "out of memory with batch_size=50 and image_size=1024; try batch_size=25"
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.strip().endswith("resume=true")
    runs = {run.data.params.get("image_size"): run for run in workplace.runs()}
    assert runs["1024"].info.status == "FAILED"
    assert words in runs["1024"].data.tags["transfer.error"]
    assert runs["32"].info.status == "FINISHED"
