"""What the launchers of clusters share: a job that a process of another machine runs, and what is
noted of one that died there."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from transfer.sweep.outcomes import Outcome, forget_outcomes, note_outcome, read_outcomes

log = logging.getLogger(__name__)

# What a node of a cluster does not inherit, and this project and its libraries read.
_PASSED_ON = (
    *("MLFLOW_", "TRANSFER_", "HYDRA_", "TORCH_", "HF_", "OMP_", "MKL_", "XDG_"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


def variables_to_pass_on() -> dict[str, str]:
    """What a job needs of this process's environment where it does not inherit it.

    Passwords and tokens are among it, so that nothing may write it to a disk.
    """
    return {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}


@dataclass(frozen=True)
class ClusterSweep:
    """What Hydra gives a launcher, with what its jobs need on another machine. It is pickled, on
    Slurm into a file, and so holds nothing of the environment.

    Attributes:
        config: of the sweep, Hydra's own part included.
        place: the folder in which the command was typed: relative paths begin there.
    """

    context: HydraContext
    task: TaskFunction
    config: DictConfig
    place: Path = field(default_factory=Path.cwd)
    singletons: Any = field(default_factory=Singleton.get_state)

    @property
    def folder(self) -> Path:
        """The sweep's own, where outcomes are noted."""
        return self.place / str(self.config.hydra.sweep.dir)

    def jobs(self, overrides: Sequence[Sequence[str]], first: int) -> list[ClusterJob]:
        """Those that a sweeper launches now.

        Args:
            first: the number of the first of them; what adding to it gives is that of others.
        """
        found = []
        for index, each in enumerate(overrides):
            number = first + index
            log.info("\t#%d : %s", number, " ".join(filter_overrides(each)))
            found.append(ClusterJob(self, list(each), number))
        return found


@dataclass(frozen=True)
class ClusterJob:
    """One job, to be pickled and run elsewhere.

    Attributes:
        number: in its sweep.
    """

    sweep: ClusterSweep
    overrides: list[str]
    number: int

    def run(self, job_id: str) -> JobReturn:
        """Run it in this process, as Hydra's own launchers do.

        Args:
            job_id: by which the cluster knows it; it becomes `hydra.job.id`.
        """
        os.chdir(self.sweep.place)
        # The cluster may have begun it before.
        forget_outcomes(self.sweep.folder, [self.number])
        Singleton.set_state(self.sweep.singletons)
        setup_globals()
        loader = self.sweep.context.config_loader
        config = loader.load_sweep_config(self.sweep.config, self.overrides)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = job_id, self.number
        return run_job(
            hydra_context=self.sweep.context,
            task_function=self.sweep.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def ended(self) -> JobReturn:
        """What a sweeper gets of a job without a number, as of one that failed by itself."""
        result = JobReturn(overrides=self.overrides, status=JobStatus.COMPLETED)
        result.return_value = nan
        return result

    def died(self, why: str) -> JobReturn:
        """Note that the cluster ended it, whether or not it had time to save; the other jobs go
        on."""
        overrides = " ".join(self.overrides)
        noted = read_outcomes(self.sweep.folder).get(self.number)
        if noted is None or noted.status == "interrupted":
            log.error("job %d (%s) failed: %s", self.number, overrides, why)
            failed = replace(noted or Outcome(overrides, ""), status="failed", error=why)
            note_outcome(self.sweep.folder, self.number, failed)
        return self.ended()

    def stopped(self) -> JobReturn:
        """Note that it was interrupted with its sweep, perhaps before it had begun."""
        if self.number not in read_outcomes(self.sweep.folder):
            outcome = Outcome(" ".join(self.overrides), "interrupted")
            note_outcome(self.sweep.folder, self.number, outcome)
        return self.ended()
