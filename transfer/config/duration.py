"""Times as people type them: 90s, 30m, 1h, 1h30m."""

import re

from transfer.system.errors import ConfigError

_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def read_duration(key: str, text: str) -> float:
    """Seconds, at least 1.

    Args:
        key: whose value the text is.
        text: numbers with their units, the larger first: hours (h), minutes (m), seconds (s).

    Raises:
        ConfigError: it is none of these, or less than a second.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ConfigError(key, text, "give a time with its unit: 90s, 30m, 1h, 1h30m")
    hours, minutes, seconds = (float(each or 0) for each in found.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if not 1 <= total < float("inf"):
        raise ConfigError(key, text, "must be at least 1s")
    return total


def write_duration(seconds: float) -> str:
    """The same the other way round, to the second: "1h30m"."""
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
