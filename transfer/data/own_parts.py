"""Parts of a data set that its makers held out themselves: nothing is drawn for those."""

from transfer.config.schema import Config, DataConfig, ImageFolderConfig, ShardsConfig
from transfer.config.unused import DRAWS
from transfer.data.part_folders import own_test_folder, part_folders
from transfer.data.shard_files import part_shards
from transfer.system.errors import ConfigError

_WORDS = {"val": "validation", "test": "test"}
_TRAIN_ALONE = "data.root with the names of the train shards alone"


def own_parts(config: DataConfig) -> dict[str, str]:
    """Where the validation and the test images of one's own pictures lie, of those that have a
    place of their own, as a sentence calls it: {"val": "val/"}.

    Raises:
        ConfigError: there are no training images, or nobody can tell what is which.
    """
    if isinstance(config, ImageFolderConfig):
        folders = part_folders(config)
        return {part: f"{folders[part]}/" for part in _WORDS if part in folders}
    if isinstance(config, ShardsConfig):
        shards = part_shards(config)
        return {part: f"the {part} shards" for part in _WORDS if part in shards}
    return {}


def refuse_own_test(config: DataConfig) -> None:
    """Raise ConfigError where folds were chosen beside a test set: before hours of decoding."""
    if config.fold is None or "test" not in (own := own_parts(config)):
        return
    if isinstance(config, ImageFolderConfig):
        there = f"{own_test_folder(config)}"
        would = f"data.test_folder=null folds all of {config.train_folder}/"
    else:
        there, would = own["test"], f"{_TRAIN_ALONE} folds those"
    problem = f"there is a test set of its own in {there}; {would}"
    if "val" not in own:
        problem += "; data.seed='range(5)' repeats the split of the others"
    raise ConfigError("data.fold", config.fold, problem)


def refuse_fractions(config: DataConfig, validation: str) -> None:
    """Raise ConfigError where a share was chosen of what nothing is held out for."""
    own, default = own_parts(config), ImageFolderConfig()
    for part, word in _WORDS.items():
        name = f"{word}_fraction"
        share = getattr(config, name)
        used = part == "test" or validation != "test"
        if used and part in own and share != getattr(default, name):
            unused = f"this job does not use it: {word} images lie in {own[part]}"
            would = f"{_TRAIN_ALONE} holds them out of those"
            if isinstance(config, ImageFolderConfig):
                train = part_folders(config)["train"]
                would = f"data.{part}_folder=null holds them out of {train}/"
            raise ConfigError(f"data.{name}", share, f"{unused}; what would: {would}")


def refuse_idle_draws(config: Config) -> None:
    """Raise ConfigError where a data seed was chosen and draws nothing, so that runs over several
    would pass for several splits, or a way to split where nothing is split."""
    data = config.data
    by_shard = isinstance(data, ShardsConfig) and data.split_by != ShardsConfig().split_by
    seeded = data.seed != DataConfig().seed
    if not isinstance(data, ImageFolderConfig | ShardsConfig) or not (seeded or by_shard):
        return
    own = own_parts(data)
    drawn = [part for part in _WORDS if part not in own]
    if config.protocol.validation == "test":
        drawn = [part for part in drawn if part == "test"]
    if drawn:
        return
    unused = f"this job does not use it: beside {' and '.join(own.values())} nothing is drawn"
    null = _TRAIN_ALONE
    if isinstance(data, ImageFolderConfig):
        null = "data.val_folder=null" if "val" in own else "data.test_folder=null"
    if isinstance(data, ShardsConfig) and by_shard:
        raise ConfigError("data.split_by", data.split_by, f"{unused}; what would: {null}")
    if data.train_per_class is None and not config.feature_views:
        problem = f"{unused}; what would: {null}, {DRAWS}; seed='range(5)' repeats the training"
        raise ConfigError("data.seed", data.seed, problem)
