"""How evenly the classes share the images."""

from collections.abc import Sequence

from torch import Tensor

from transfer.config.uneven import UNEVEN


def uneven_classes(labels: Tensor, names: Sequence[str]) -> str:
    """Name the largest class and the smallest, where their sizes differ much; "" where not.

    Args:
        labels: int64 [N].
        names: of all classes, by label.
    """
    sizes = labels.bincount(minlength=len(names))
    largest, smallest = int(sizes.argmax()), int(sizes.argmin())
    most, least = int(sizes[largest]), int(sizes[smallest])
    if most <= UNEVEN * least:
        return ""
    return (
        f"classes are uneven: from {least} training images ({names[smallest]}) to {most} "
        f"({names[largest]})"
    )
