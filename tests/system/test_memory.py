"""The memory that a job needs, whatever ran before it in the process."""

from __future__ import annotations

import platform
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._subclasses import FakeTensorMode

from tests.conftest import TINY, config_of
from transfer.job import prepare
from transfer.system import memory
from transfer.system.device import keep_freed_memory
from transfer.system.memory import PeakMemory
from transfer.training.trainer import Trainer

CPU = torch.device("cpu")
MB = 10**6

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing else tells it on a CPU")
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc counts")


def _hold(megabytes: int) -> None:
    """Long enough for whoever looks to see it, and let go."""
    held = torch.ones(megabytes * MB, dtype=torch.uint8)
    time.sleep(0.5)
    del held


def _peak(*megabytes: int, held: int = 0) -> float:
    with PeakMemory(CPU, held) as watched:
        for each in megabytes:
            _hold(each)
        found = watched.stop()
    assert found is not None
    return found


@glibc
def test_the_most_at_once_counts_and_not_the_sum() -> None:
    assert _peak(100, 300, 200) == pytest.approx(300, abs=3)


@glibc
def test_what_earlier_jobs_have_freed_does_not_count() -> None:
    keep_freed_memory()
    # Below what the C library is told to keep.
    assert [round(_peak(size), -1) for size in (50, 600, 50)] == [50, 600, 50]


def test_what_was_held_before_counts_where_it_is_the_jobs_own() -> None:
    images = torch.ones(100 * MB, dtype=torch.uint8)
    assert _peak(200, held=images.nbytes) == pytest.approx(300, rel=0.1)


def test_where_the_c_library_does_not_tell_the_resident_memory_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_counts_torch", lambda _: False)
    assert _peak(300) == pytest.approx(300, rel=0.1)


def test_a_system_that_does_not_tell_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with PeakMemory(CPU) as watched:
        assert watched.stop() is None


def test_cuda_is_started_before_a_gpu_that_has_a_number_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[str]()
    for name in ("init", "reset_peak_memory_stats", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: asked.append(name) or 0)
    with PeakMemory(torch.device("cuda:1")):
        assert asked == ["init", "reset_peak_memory_stats", "max_memory_allocated"]


def test_the_thread_ends_with_a_job_that_fails() -> None:
    with pytest.raises(RuntimeError), PeakMemory(CPU) as watched:
        raise RuntimeError
    watched._thread.join(timeout=10)
    assert not watched._thread.is_alive()


@glibc
def test_tensors_without_numbers_count_nothing() -> None:
    """An exported model leaves them behind: the next job is measured all the same."""
    with FakeTensorMode():
        fake = torch.ones(100 * MB)
    assert _peak(100) == pytest.approx(100, abs=3)
    assert fake.device == CPU


@glibc
def test_a_job_needs_what_it_needs_alone() -> None:
    """First of its kind in the process, again, and after a larger one."""
    small = ("model=mobilenet_v3_small", *TINY, "freeze_epochs=0", "epochs=3")
    large = ("model=resnet18", *TINY, "freeze_epochs=0", "epochs=1", "image_size=64")

    def peak(*overrides: str) -> float:
        job = prepare(config_of(*overrides))
        with PeakMemory(job.device, job.bytes_held) as watched:
            trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
            list(trainer.epochs())
            found = watched.stop()
        assert found is not None
        return found

    first, again, larger, after = peak(*small), peak(*small), peak(*large), peak(*small)
    assert larger > 1.5 * first
    assert again == pytest.approx(first, rel=0.15)
    assert after == pytest.approx(first, rel=0.15)


def test_a_count_disturbs_no_other_thread() -> None:
    """Such as the one that writes to a store: a tuple that it is building stays its own."""
    kept = torch.nn.Linear(MB, 1, bias=False)
    over, failed = threading.Event(), []

    def build() -> None:
        while not over.is_set():
            try:
                tuple(sum(range(100)) for _ in range(1000))
            except SystemError as error:
                failed.append(error)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(build)
        counts = [memory._tensor_bytes() for _ in range(5)]
        over.set()
    assert min(counts) >= kept.weight.nbytes
    assert not failed
