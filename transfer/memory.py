"""Out of memory, said in a line that helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from transfer.config import Config

# What torch's allocators say: that of a CPU, of Windows, of MPS. CUDA's has a class of its own.
_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


class OutOfMemoryError(RuntimeError):
    """The training did not fit into memory; the message says what to try."""


@contextmanager
def out_of_memory_explained(config: Config) -> Iterator[None]:
    """Name what decides how much memory a training takes.

    Raises:
        OutOfMemoryError: in place of the error that numpy, Python or torch raises.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory with batch_size={config.batch_size} and "
            f"image_size={config.image_size}; try {_smaller(config)}"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _WORDS)


def _smaller(config: Config) -> str:
    choices = []
    if config.batch_size > 2:
        choices.append(f"batch_size={max(config.batch_size // 2, 2)}")
    choices.append("a smaller image_size or model")
    if config.data.resident_gb > 0:
        choices.append("data.resident_gb=0")
    if config.device.startswith("cuda") and config.precision == "float32":
        choices.append("precision=bfloat16")
    return ", or ".join(choices)
