"""Pictures that are there twice: file for file, or resized and saved anew.

Of the latter no hash of bytes knows. Each image's thumbnail of 8x8 grey levels is compared with
those of the others by their correlation, and the pairs that pass by what the images show in detail:
what is left of 16x16 cells of colour once their surroundings are taken off. Lighting and plain
backgrounds, which many photos of one table share, do not count there.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from transfer.data.image_data import Split

# On CIFAR-10, 96 test images have such a partner among the training images, and on TrashNet 13; of
# these pairs all but one were found by eye to be of one picture, or of one thing shot twice. Copies
# at 3/4 of the size and JPEG quality 50 are found in 95 % of cases at 32 px, 99 % of larger photos.
_ALIKE = 0.97
_ALIKE_IN_DETAIL = 0.9
# What takes a second or two on two cores. Of larger sets some of the images are looked up.
_MOST_PAIRS = 3 * 10**8
# Levels, 0 to 255, of what is no more than a border.
_BLACK = 12
_NAMED = 3
_AT_ONCE = 256
_HARM = {
    "test": "test accuracies are too good",
    "validation": "validation accuracies are too good, and choose the wrong epoch",
}


def thumbnails(split: Split) -> Tensor:
    """Each image as 8x8 grey levels: uint8 [N, 64]."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    # Made as a whole: what is kept of each piece would lie between the pieces, and memory would
    # grow with their number as if none of them were freed.
    found = torch.empty((len(split), 64), dtype=torch.uint8)
    done = 0
    for piece in split.pieces():
        # As floats, few at a time.
        for part in piece.split(_AT_ONCE):
            grey = (F.adaptive_avg_pool2d(part.float(), 8) * weights).sum(1)
            found[done : done + len(part)] = grey.round().byte().flatten(1)
            done += len(part)
    return found


def file_copies(split: Split, other: Split) -> Tensor:
    """Which images (bool [N]) of a split have a file with the same bytes in another split."""
    if split.files is None or other.files is None:
        return torch.zeros(len(split), dtype=torch.bool)
    return torch.isin(split.files, other.files)


def near_copies(split: Split, other: Split) -> tuple[list[tuple[int, int]], int]:
    """Find images that look like one of another split, and have not its file.

    Returns:
        Pairs of their numbers and those of what they look like, and how many were looked up. None
        where images have no files.
    """
    if split.thumbnails is None or other.thumbnails is None:
        return [], 0
    looked_up = (~file_copies(split, other)).nonzero().flatten()
    looked_up = looked_up[:: math.ceil(max(1, len(looked_up) * len(other) / _MOST_PAIRS))]
    ours, theirs = _unit(split.thumbnails.float()), _unit(other.thumbnails.float())
    pairs: list[tuple[int, int]] = []
    for rows in looked_up.split(max(1, 2**24 // len(other))):
        best, partners = (ours[rows] @ theirs.T).max(1)
        alike = best > _ALIKE
        pairs += zip(rows[alike].tolist(), partners[alike].tolist(), strict=True)
    return [pair for pair in pairs if _alike_in_detail(split, other, *pair)], len(looked_up)


def two_classes_lines(splits: Sequence[Split]) -> Iterator[str]:
    """A line where files with the same bytes are of two classes."""
    seen: dict[int, tuple[int, str]] = {}
    torn: dict[int, tuple[str, str]] = {}
    several = _files_there_twice(splits)
    for split in splits:
        if split.files is None or split.names is None:
            continue
        found = torch.isin(split.files, several).nonzero().flatten()
        names = split.file_names(found) or []
        each = zip(split.files[found].tolist(), split.labels[found].tolist(), names, strict=True)
        for file, label, name in each:
            former, first = seen.setdefault(file, (label, name))
            if former != label:
                torn.setdefault(file, (first, name))
    if torn:
        count = "1 picture is" if len(torn) == 1 else f"{len(torn)} pictures are"
        remedy = "leave each in the one where it belongs"
        yield f"{count} in two classes, file for file: {_such_as(list(torn.values()))}; {remedy}"


def _files_there_twice(splits: Sequence[Split]) -> Tensor:
    """The hashes (int64) of those files, few of a million: only these are looked at one by one."""
    files = [split.files for split in splits if split.files is not None]
    if not files:
        return torch.empty(0, dtype=torch.int64)
    each, counts = torch.cat(files).unique(return_counts=True)
    return each[counts > 1]


def copy_lines(train: Split, val: Split, test: Split) -> Iterator[str]:
    """Lines on what is in two splits; val may be the test split itself."""
    yield from _exact_lines(test, "test", [train] if val is test else [train, val])
    if val is not test:
        yield from _exact_lines(val, "validation", [train])
    yield from _near_lines(test, "test", train)
    if val is not test:
        yield from _near_lines(val, "validation", train)


def _exact_lines(split: Split, word: str, others: Sequence[Split]) -> Iterator[str]:
    shared = torch.stack([file_copies(split, other) for other in others]).any(0)
    if count := int(shared.sum()):
        among = "training or validation" if len(others) > 1 else "training"
        names = _named(split, shared.nonzero().flatten())
        are = "is" if count == 1 else "are"
        yield (
            f"{count} of {len(split)} {word} images {are} also among the {among} images, file for "
            f"file: {_HARM[word]}{names}"
        )


def _near_lines(split: Split, word: str, train: Split) -> Iterator[str]:
    pairs, looked_up = near_copies(split, train)
    if pairs:
        first = torch.tensor(pairs[: _NAMED + 1])
        both = (each.file_names(first[:, side]) for side, each in enumerate((split, train)))
        such_as = _such_as(list(zip(*(names or [] for names in both), strict=True)))
        sample = "" if looked_up == len(split) else f" that were looked up, out of {len(split)},"
        look = "looks" if len(pairs) == 1 else "look"
        yield (
            f"{len(pairs)} of {looked_up} {word} images{sample} {look} like a training image, "
            f"resized or saved anew: {such_as}; {_HARM[word]}"
        )


def _named(split: Split, indices: Tensor) -> str:
    names = split.file_names(indices[:_NAMED])
    return f" ({', '.join(names)}{', …' if len(indices) > _NAMED else ''})" if names else ""


def _such_as(pairs: Sequence[tuple[str, ...]]) -> str:
    shown = ", ".join(" and ".join(pair) for pair in pairs[:_NAMED])
    return shown + (", …" if len(pairs) > _NAMED else "")


def _alike_in_detail(split: Split, other: Split, one: int, partner: int) -> bool:
    images = (split.take(torch.tensor([one])), other.take(torch.tensor([partner])))
    ours, theirs = (_unit(_detail(image)) for image in images)
    return float((ours * theirs).sum()) > _ALIKE_IN_DETAIL


def _detail(image: Tensor) -> Tensor:
    """uint8 [1, 3, H, W] -> float32 [1, 768]."""
    # The borders of data.fit=pad, and of films, would be the detail that all of them share.
    inside = image[0].amax(0) > _BLACK
    rows, columns = (inside.any(side).nonzero().flatten().tolist() for side in (1, 0))
    if rows:
        image = image[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cells = F.adaptive_avg_pool2d(image.float(), 16)
    around = F.avg_pool2d(F.pad(cells, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return (cells - around).flatten(1)


def _unit(vectors: Tensor) -> Tensor:
    """[N, D] with the mean of each taken off, of length 1 unless it is plain."""
    centred = vectors - vectors.mean(1, keepdim=True)
    return centred.div_(centred.norm(dim=1, keepdim=True).clamp_(min=1))
