"""How much memory a job needs at once, whatever ran before it in the same process.

The size of a process does not tell: it holds Python and the libraries as well, and what was freed
and is kept for the next step, of earlier jobs too. What counts here is what is in use, as whoever
hands the memory out knows it: torch on a GPU, on a CPU the C library.
"""

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

# Between two looks. A look locks the allocator: it may take a hundredth of the time at most.
_EVERY_S = 0.01
_LEAST_PAUSE = 100


class PeakMemory:
    """Watches a job, from entering the context to leaving it or to `stop()`.

    CUDA keeps the highest count itself. Everywhere else a thread looks every 10 ms: what is in use
    for a shorter time, and never again, may be missed.

    Args:
        device: whose memory counts.
        held: bytes that the job has in use already, such as its images.
    """

    def __init__(self, device: torch.device, held: int = 0) -> None:
        self._device = device
        self._held = held
        self._in_use = _counter(device)
        self._start = self._highest = self._start_of_rest = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        # What an earlier job has left would be counted, or freed in the midst of this one.
        gc.collect()
        free_gpu_memory()
        if self._device.type == "cuda":
            # Of a GPU that has a number, what follows does not start CUDA, and is refused.
            torch.cuda.init()
            torch.cuda.reset_peak_memory_stats(self._device)
        self._look()
        self._start, self._start_of_rest = self._highest, self._rest()
        if self._in_use is not None and self._device.type != "cuda":
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def stop(self) -> float | None:
        """Watch no longer.

        Returns:
            The most memory in use at once, less what was in use at the start, and what the job
            held by then, in units of 10^6 bytes; None where this system does not say. Left out is
            what libraries keep for later, such as kernels made for a shape, which the next job of
            the process finds there.
        """
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._in_use is None:
            return None
        self._look()
        gc.collect()
        kept = max(self._rest() - self._start_of_rest, 0)
        return (self._highest - self._start - kept + self._held) / 1e6

    def _watch(self) -> None:
        pause = _EVERY_S
        while not self._over.wait(pause):
            start = time.thread_time()
            self._look()
            pause = max(_EVERY_S, _LEAST_PAUSE * (time.thread_time() - start))

    def _look(self) -> None:
        if self._in_use is not None:
            self._highest = max(self._highest, self._in_use())

    def _rest(self) -> int:
        """Bytes in use now by what is no tensor, once garbage is collected; 0 where that is not
        known."""
        if self._in_use is not _in_use_of_malloc:
            return 0
        return _in_use_of_malloc() - _tensor_bytes()


def memory_size(device: torch.device) -> int:
    """Bytes of memory that there are on a device: of the machine's, what its control group may use.
    Where nobody says, more than anything takes."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    sizes = [2**62]
    with suppress(OSError, ValueError, AttributeError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        # "max" where there is no limit.
        with suppress(OSError, ValueError):
            sizes.append(int(Path("/sys/fs/cgroup", name).read_text()))
    return min(sizes)


def _tensor_bytes() -> int:
    """What the tensors take that Python can reach on the CPU, each storage once."""
    tensors = _tensors()
    tensors += [each.grad for each in tensors if each.is_leaf and each.grad is not None]
    sizes = {}
    for each in tensors:
        # A tensor without numbers, as torch.export leaves behind, refuses to say where they lie.
        with suppress(RuntimeError):
            if each.device.type == "cpu" and each.layout == torch.strided:
                storage = each.untyped_storage()
                sizes[storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


def _tensors() -> list[Tensor]:
    """All tensors that Python can reach.

    They refer to their types. A list of all objects would do, but hold the tuple, too, that another
    thread is building, which Python then refuses to lengthen (SystemError;
    https://github.com/python/cpython/issues/59313).
    """
    referrers = gc.get_referrers(*_with_subtypes(Tensor))
    # By the type itself: to ask some objects for their class is to import what they stand for.
    return [each for each in referrers if issubclass(type(each), Tensor)]


def _with_subtypes(of: type) -> set[type]:
    return {of}.union(*map(_with_subtypes, type.__subclasses__(of)))


def _counter(device: torch.device) -> Callable[[], int] | None:
    """What tells how many bytes are in use; None where nothing does."""
    if device.type == "cuda":
        # The most since the count was reset.
        return lambda: torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory
    if not sys.platform.startswith("linux"):
        return None
    if _counts_torch(_in_use_of_malloc):
        return _in_use_of_malloc
    give_back()
    return resident_bytes


class _Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def _in_use_of_malloc() -> int:
    """By glibc's malloc, blocks of their own mapping included; -1 where it is older than 2.33."""
    count = getattr(_libc(), "mallinfo2", None)
    if count is None:
        return -1
    count.restype = _Mallinfo
    found = count()
    return int(found.uordblks + found.hblkhd)


@cache
def _counts_torch(count: Callable[[], int]) -> bool:
    """Whether a count sees what torch allocates: another allocator may have been preloaded."""
    before, tensor = count(), torch.empty(2**24, dtype=torch.uint8)
    return count() - before >= tensor.nbytes


def resident_bytes() -> int:
    """What is in memory of this process and in no file: of freed memory, too, what was kept."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Let the kernel have what earlier jobs have freed, where the C library can."""
    with suppress(AttributeError):
        _libc().malloc_trim(0)


def free_gpu_memory() -> None:
    """Let other processes have what torch keeps of GPUs' memory for later: what earlier jobs, or a
    look at the candidates, had in use."""
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


@cache
def _libc() -> ctypes.CDLL:
    """The C library that this process runs with."""
    return ctypes.CDLL(None)
