"""The candidates of a choice as far as a screen of all of them fits its part of the time: with
smaller images where those of the weights' own size would take too long."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from transfer.config import Config
from transfer.evaluate.speed import Speed
from transfer.features.probe import probe_seconds
from transfer.sweep.choose.grid import Images
from transfer.sweep.screen import as_read, label_of

# Where a size of the images takes too long, the next one that is tried, and the last.
_SHRINK, _SMALLEST = 0.75, 32

Pair = tuple[Config, Speed]


class TooLongError(Exception):
    """There is no time to look at all images even once.

    Attributes:
        seconds: that it takes.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


def fit_screen(
    pairs: Sequence[Pair],
    images: Images,
    most: float,
    *,
    slow: float,
    may_shrink: bool,
    say: Callable[[str], None],
) -> list[Pair]:
    """The candidates with images so small that the screen can be done in its part of the time;
    without those of which it cannot.

    Args:
        most: seconds of that part.
        slow: how many times as long as on a machine that is free things take that were not tried.
        may_shrink: whether the size of the images was left open.
        say: tells people of what is another one.

    Raises:
        TooLongError: not even one of them fits.
    """
    found, sizes = list(pairs), [config.image_size for config, _ in pairs]

    def probes(at: int) -> float:
        """Seconds that the probes of a candidate take, whatever the size of its images."""
        config, speed = found[at]
        if not _is_screened(config, found):
            return 0.0
        return slow * probe_seconds(images.train + images.val, speed.width)

    def takes(at: int) -> float:
        return images.all * found[at][1].forward + probes(at)

    while sum(map(takes, range(len(found)))) > most:
        at = max(range(len(found)), key=takes)
        config, speed = found[at]
        smaller = _smaller(config) if may_shrink else None
        if probes(at) > takes(at) / 2:
            smaller = None
        if smaller is not None:
            faster = speed.at(config.image_size, smaller)
            found[at] = replace(config, image_size=smaller), faster
        elif len(found) > 1:
            del found[at], sizes[at]
            label = label_of(as_read(config))
            say(f"left out: {label}: to screen it on all images takes too long")
        else:
            raise TooLongError(takes(0))
    for (config, _), own in zip(found, sizes, strict=True):
        if own != config.image_size:
            label = label_of(as_read(config))
            say(f"{label}: the weights' own {own} px would take too long")
    return found


def _is_screened(config: Config, found: Sequence[Pair]) -> bool:
    """Whether probes are asked about a candidate: it has weights, and is not the only one."""
    pretrained = [each for each, _ in found if as_read(each).weights != "none"]
    return len(pretrained) > 1 and config in pretrained


def _smaller(config: Config) -> int | None:
    """The next smaller size of a candidate's images; None where there is none."""
    less = min(round(_SHRINK * config.image_size / 32) * 32, config.image_size - 32)
    size = max(less, _SMALLEST)
    return size if size < config.image_size else None
