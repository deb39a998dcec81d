"""Out of memory, said in a line that helps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from transfer.system.errors import UserError

# What torch's allocators say: that of a CPU, of Windows, of MPS. CUDA's has a class of its own.
_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


class OutOfMemoryError(UserError):
    """The training did not fit into memory; the message says what to try."""


@contextmanager
def out_of_memory_explained(explain: Callable[[], str]) -> Iterator[None]:
    """Say what decided how much memory was wanted.

    Args:
        explain: gives the settings and what to try instead; asked only when it is needed.

    Raises:
        OutOfMemoryError: in place of the error that numpy, Python or torch raises.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemoryError(f"out of memory {explain()}") from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _WORDS)
