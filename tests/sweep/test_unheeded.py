"""What Hydra would leave aside without a word is refused."""

from __future__ import annotations

import pytest

from tests.conftest import hydra_config_of
from transfer.sweep.unheeded import refuse_unheeded
from transfer.system.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "sweep"),
    [
        ("hydra/launcher=submitit_slurm", False),
        ("hydra/sweeper=halving", False),
        ("hydra.sweep.dir=out", False),
        ("hydra.run.dir=out", True),
    ],
)
def test_parts_of_sweeps_and_of_jobs_alone_are_kept_apart(typed: str, sweep: bool) -> None:
    config = hydra_config_of(typed)
    words = "hydra.sweep.dir" if sweep else "type -m before it"
    with pytest.raises(ConfigError, match=rf"^{typed}: is for .*{words}$"):
        refuse_unheeded(config, sweep=sweep)
    refuse_unheeded(config, sweep=not sweep)
