"""The names of devices that `device=` knows, whether or not this machine has them; without torch,
which takes a second to import."""

import re

DEVICE_NAMES = "auto, cpu, cuda, cuda:<number>, mps"


def is_device_name(name: str) -> bool:
    """Whether it is one of DEVICE_NAMES."""
    return re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", name) is not None
