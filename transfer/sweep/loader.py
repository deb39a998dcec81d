"""Composing the jobs of a sweep, most of which choose the same files: these are read and merged
once. What comes out is what Hydra composes, in a fortieth of the time.

Hydra composes each job three times: this project when it checks all of them, Hydra's sweeper when
it does the same, and its launcher when a job starts.
"""

import pickle
from collections.abc import Sequence
from contextlib import suppress

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from transfer.config.overrides import parse_overrides

_MOST_KEPT = 64
_FOLDER = "hydra.sweep.dir="


class SweepLoader(ConfigLoaderImpl):
    """Hydra's loader of configurations, for the jobs of one sweep. Where groups are looked for in
    other folders as well (`hydra.searchpath`), it does no more than Hydra's."""

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        super().__init__(loader.config_search_path)
        # With what told the sweep's folder then. Pickled, for to read that takes an eighth of the
        # time of a copy.
        self._chosen: dict[tuple[str, ...], tuple[list[str], bytes]] = {}

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """The configuration of one job.

        Args:
            master_config: of the sweep, Hydra's own part included.
            sweep_overrides: of the job; lines without a choice among values in them.

        Raises:
            ConfigCompositionException: Hydra cannot compose it.
        """
        # What fails here is composed again by Hydra, which has the words for it.
        with suppress(Exception):
            parsed = parse_overrides(sweep_overrides)
            hydras = any(each.is_sweep_override() or each.is_hydra_override() for each in parsed)
            if not hydras and not master_config.hydra.searchpath:
                return self._compose(master_config, parsed)
        return super().load_sweep_config(master_config, sweep_overrides)

    def _compose(self, sweep: DictConfig, overrides: Sequence[Override]) -> DictConfig:
        lines = [str(each.input_line) for each in overrides]
        files = [self._chooses_file(each) for each in overrides]
        chosen = [line for line, is_file in zip(lines, files, strict=True) if is_file]
        job = self._with_files(sweep, chosen)
        values = [each for each, is_file in zip(overrides, files, strict=True) if not is_file]
        self._apply_overrides_to_config(values, job)
        hydra = job.hydra
        hydra.overrides.task = lines
        dirname = hydra.job.config.override_dirname
        hydra.job.override_dirname = get_overrides_dirname(
            overrides=list(overrides),
            kv_sep=dirname.kv_sep,
            item_sep=dirname.item_sep,
            exclude_keys=dirname.exclude_keys,
        )
        # Times and the like are those of the sweep.
        OmegaConf.copy_cache(from_config=sweep, to_config=job)
        return job

    def _chooses_file(self, override: Override) -> bool:
        """Whether it is one of a group's files that is chosen, as Hydra tells it from a value."""
        is_group = self.repository.group_exists(override.key_or_group)
        return is_group and not isinstance(override.value(), dict)

    def _with_files(self, sweep: DictConfig, chosen: Sequence[str]) -> DictConfig:
        """A job for which nothing but files was chosen."""
        of_hydra = OmegaConf.to_container(sweep.hydra.overrides.hydra)
        assert isinstance(of_hydra, list)
        # Jobs are checked before the sweep has its folder, and begin after.
        folder = [each for each in map(str, of_hydra) if each.startswith(_FOLDER)]
        key = (*(each for each in map(str, of_hydra) if each not in folder), "", *chosen)
        if key not in self._chosen:
            if len(self._chosen) == _MOST_KEPT:
                del self._chosen[next(iter(self._chosen))]
            made = super().load_sweep_config(sweep, list(chosen))
            self._chosen[key] = folder, pickle.dumps(made)
        former, pickled = self._chosen[key]
        job: DictConfig = pickle.loads(pickled)
        if folder != former:
            self._apply_overrides_to_config(parse_overrides(folder), job)
            job.hydra.overrides.hydra = of_hydra
        return job


def share_files() -> None:
    """Let Hydra compose the jobs of the sweep that begins by what they share."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    loader = hydra.config_loader
    if type(loader) is ConfigLoaderImpl:
        hydra.config_loader = SweepLoader(loader)
