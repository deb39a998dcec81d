"""Downloads that give up soon, in words that say how to go on."""

import threading
import urllib.error
import urllib.request

from transfer.system.errors import ConfigError

_PATIENCE_S = 6.0


def require_network(url: str, *, key: str, value: object, instead: str) -> None:
    """Raise unless `url` answers soon.

    Name resolution has no timeout of its own and can hang for a minute on a machine that is
    cut off, so the attempt runs in a thread that is left behind when patience ends.

    Args:
        url: what is about to be downloaded.
        key, value: the choice that asks for it, for the message.
        instead: what works without a network, for the message.

    Raises:
        ConfigError: no answer within 6 seconds.
    """
    outcome: list[str] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "transfer"})
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_S):
                outcome.append("")
        except urllib.error.HTTPError as error:
            # The server is there, whatever it thinks of HEAD; a missing file is its own answer.
            outcome.append(f"answered {error.code}" if error.code in (404, 410) else "")
        except (OSError, ValueError) as error:
            outcome.append(str(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    reason = outcome[0] if outcome else f"no answer within {_PATIENCE_S:.0f} s"
    if reason:
        raise ConfigError(key, value, f"needs a download, and {url} failed ({reason}); {instead}")
