"""What was typed, taken apart as Hydra does; once, for the jobs of a sweep share most of it."""

from collections.abc import Sequence
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def parse_overrides(typed: Sequence[str]) -> list[Override]:
    """The overrides of a job, such as ``optimizer.lr=0.1``, as Hydra's parser gives them; they are
    shared, and not to be changed.

    Raises:
        HydraException: one cannot be read.
    """
    return [_parse(each) for each in typed]


# A mapping or a list may be long, but a sweep has few of them.
@lru_cache(maxsize=4096)
def _parse(override: str) -> Override:
    [parsed] = OverridesParser.create().parse_overrides([override])
    return parsed
