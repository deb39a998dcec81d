"""A folder of its own for every command: two that start in the same second would share one."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.system.errors import ConfigError


def claim_folder(config: DictConfig, key: str) -> Path:
    """Make the folder that Hydra is going to use; where it is there already, one beside it.

    A folder that the command line names is used as it is: who names it may mean it again.

    Args:
        config: Hydra's, with its node `hydra`; is changed where the folder is another one.
        key: "hydra.run.dir" or "hydra.sweep.dir".

    Returns:
        The absolute path.

    Raises:
        ConfigError: it cannot be made.
    """
    asked = Path(OmegaConf.select(config, key))
    given = any(override.startswith(f"{key}=") for override in config.hydra.overrides.hydra)
    try:
        if given:
            asked.mkdir(parents=True, exist_ok=True)
            return asked.absolute()
        made = _make_new(asked)
    except OSError as error:
        raise ConfigError(key, asked, f"cannot be made ({error.strerror})") from error
    with read_write(config), open_dict(config):
        OmegaConf.update(config, key, str(made))
        # Hydra composes each job's configuration anew, from these.
        config.hydra.overrides.hydra.append(f"{key}={_quoted(str(made))}")
    return made.absolute()


def _make_new(folder: Path) -> Path:
    """The folder, or the first free of folder-2, folder-3, and so on."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    for candidate in itertools.chain([folder], numbered):
        with contextlib.suppress(FileExistsError):
            candidate.mkdir(parents=True)
            return candidate
    raise AssertionError("numbers never end")


def _quoted(text: str) -> str:
    """As Hydra's grammar for overrides wants it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
