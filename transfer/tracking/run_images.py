"""The images that a run was trained and tested on, read again as it had them."""

from pathlib import Path
from typing import cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config.schema import GROUPS, DataConfig
from transfer.data import ImageData, process_data_sets
from transfer.system.errors import ConfigError, first_line
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client


def fetch_images(
    client: Client, run: RunRecord, folder: Path, stored_size: int, interpolation: str
) -> ImageData:
    """The data set of a run from where it lay, split as it was.

    Args:
        folder: for a copy of what the store has.
        stored_size, interpolation: as the run's classifier has them.

    Raises:
        ConfigError: it is gone, or has changed; or the run was made with keys of before.
    """
    kept = OmegaConf.load(fetch_artifact(client, run, "config.yaml", folder))
    try:
        node = GROUPS["data"][kept.data.name]
        merged = OmegaConf.merge(OmegaConf.structured(node), kept.data)
        validation = str(kept.protocol.validation)
        config = cast(DataConfig, OmegaConf.to_object(merged))
    except (OmegaConfBaseException, AttributeError, KeyError) as error:
        problem = f"was made with keys of before ({first_line(error)}); train it again"
        raise ConfigError("run", run.id, problem) from error
    data = process_data_sets().load(config, stored_size, validation, interpolation)
    there = run.params.get("data.test_digest", data.test_digest)
    if data.test_digest != there:
        where = f" in {config.root}" if config.root else ""
        problem = f"its images{where} are others now: test images {data.test_digest}, once {there}"
        raise ConfigError("run", run.id, problem)
    return data
