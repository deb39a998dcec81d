"""What some content is, as a name."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor


def hex_digest(parts: Iterable[bytes | memoryview]) -> str:
    """Content hash of the parts, one after another: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Content hash of names, shapes, types and values: 16 hexadecimal digits."""

    def parts() -> Iterator[bytes | memoryview]:
        for name in sorted(state):
            tensor = state[name].detach().cpu().contiguous()
            yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
            yield tensor.view(-1).view(torch.uint8).numpy().data

    return hex_digest(parts())
